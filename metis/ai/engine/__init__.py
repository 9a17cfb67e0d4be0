"""
Models on the engine's kernels: the results of the reference evaluator, fast.

In: a model, or a graph with weights in a file; inputs as integer arrays. Out: :class:`metis.ai.runs.Run`. Invariant:
which kernel and how many threads change no bit. Cost: opening reads all weights once, to check them; a run releases
the interpreter lock. Source: docs/ai-engine.md.

    evaluator.py   one run of a model
"""

from metis.ai.engine.evaluator import Evaluator

__all__ = ["Evaluator"]
