"""The blocks that executors are measured with, by name: those that the engine generates, and paid calls of models."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from metis.engine import InferenceModel, ModelSet, Workload

__all__ = ["INFERENCE_PREFIX", "workload"]

INFERENCE_PREFIX: Final = "inference-"
_INPUT_COUNT: Final = 16


def workload(kind: str, count: int, contracts: Path | str | None, state_store: str = "memory") -> Workload:
    """
    Make the block of a kind, as :class:`metis.engine.Workload` has it, or "inference-" and one of the models' shapes
    (:data:`metis.ai.shapes.SHAPES`).

    Raises
    ------
    DecodeError : no such kind or store, or no such contracts.
    """
    if not kind.startswith(INFERENCE_PREFIX):
        return Workload(kind, count, contracts, state_store)
    from metis.ai.graph import encode_graph
    from metis.ai.shapes import random_inputs, random_model

    name = kind.removeprefix(INFERENCE_PREFIX)
    model, models = random_model(name), ModelSet()
    models.add(model.id, InferenceModel.from_bytes(encode_graph(model.graph), model.weights.raw))
    return Workload.inferences(name, models, bytes(model.id), random_inputs(name, _INPUT_COUNT), count, state_store)
