"""
Deterministic AI: models as integer graphs that give the same bits on every machine.

In: a graph's bytes, its weights, inputs as integer arrays. Out: what is proven of the graph before it runs (shapes,
bounds, cost), the model's id, output arrays. Invariant: nothing that is evaluated is a float, and nothing that is
validated overflows. Cost: validation takes time in proportion to the number of nodes; the reference evaluator is slow
and exact, the other fast and as exact. Needs numpy, the extra ``ai``; no other part imports this one.
Source: docs/ai-graph.md.

    graph/       the format, its bytes, its validation, its cost
    reference/   the evaluator in numpy that defines the results
    engine/      the evaluator on the engine's kernels, with the same results
    runs.py      what a run is given and gives
"""

from metis.ai.engine import Evaluator
from metis.ai.graph import GraphBuilder, Limits, Model, decode_graph, encode_graph, model_id, validate_graph
from metis.ai.reference import ReferenceEvaluator

__all__ = [
    "Evaluator",
    "GraphBuilder",
    "Limits",
    "Model",
    "ReferenceEvaluator",
    "decode_graph",
    "encode_graph",
    "model_id",
    "validate_graph",
]
