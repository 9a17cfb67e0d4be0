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
    quantise/    integer models from float ones: ONNX files, encoders' safetensors
    runs.py      what a run is given and gives
    file.py      a model in one file
    store/       models in folders and buckets, by hash
    trace/       what a run commits to; receipt/ what was run for whom; verify/ whether that is true
    worker/      models behind an HTTP interface, paid by signed requests
    session.py   floats in, floats out, many samples; samples.py cuts them
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metis.lazy_names import lazy_names

if TYPE_CHECKING:
    from metis.ai.engine import Evaluator
    from metis.ai.file import ModelFile, load, save
    from metis.ai.graph import GraphBuilder, Limits, Model, decode_graph, encode_graph, model_id, validate_graph
    from metis.ai.reference import ReferenceEvaluator
    from metis.ai.session import Session
    from metis.ai.store import ModelStore

__all__ = [
    "Evaluator",
    "GraphBuilder",
    "Limits",
    "Model",
    "ModelFile",
    "ModelStore",
    "ReferenceEvaluator",
    "Session",
    "decode_graph",
    "encode_graph",
    "load",
    "model_id",
    "save",
    "validate_graph",
]

__getattr__ = lazy_names(
    __name__,
    {
        "engine": ("Evaluator",),
        "file": (
            "ModelFile",
            "load",
            "save",
        ),
        "graph": (
            "GraphBuilder",
            "Limits",
            "Model",
            "decode_graph",
            "encode_graph",
            "model_id",
            "validate_graph",
        ),
        "reference": ("ReferenceEvaluator",),
        "session": ("Session",),
        "store": ("ModelStore",),
    },
)
