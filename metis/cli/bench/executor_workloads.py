"""
The blocks that executors are measured with, by name: those that the engine generates, and calls of models.

The models have the shapes of a classifier of 8 × 8 images of digits and of the linear layers of all-MiniLM-L6-v2 (6
layers of 384 columns, 1,536 between them) over 32 words, with random weights, which decide nothing about speed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from metis.ai import GraphBuilder, Model
from metis.ai.graph import DType, encode_graph
from metis.engine import InferenceModel, ModelSet, Workload

__all__ = ["MODELS", "workload"]

MODELS: Final = ("digits", "encoder")
_PREFIX: Final = "inference-"
_INPUT_COUNT: Final = 16
_WORDS, _WIDTH, _BETWEEN, _LAYERS = 32, 384, 1536, 6
# Sums of products of int8 are brought back to int8 by a shift that keeps a good part of their range.
_SHIFT: Final = 10


def workload(kind: str, count: int, contracts: Path | str | None) -> Workload:
    """
    Make the block of a kind, as :class:`metis.engine.Workload` has it, or "inference-" and one of :data:`MODELS`.

    Raises
    ------
    DecodeError : no such kind, or no such contracts.
    """
    name = kind.removeprefix(_PREFIX)
    if name == kind or name not in MODELS:
        return Workload(kind, count, contracts)
    shape, widths = ((1, 64), [128, 128, 10]) if name == "digits" else ((_WORDS, _WIDTH), _encoder_widths())
    model = _linear_layers(shape, widths)
    models = ModelSet()
    models.add(model.id, InferenceModel.from_bytes(encode_graph(model.graph), model.weights.raw))
    random = np.random.default_rng(1)
    inputs = [random.integers(-100, 101, shape, dtype=np.int8).tobytes() for _ in range(_INPUT_COUNT)]
    return Workload.inferences(name, models, bytes(model.id), inputs, count)


def _encoder_widths() -> list[int]:
    """Columns of the matrices of all layers: query, key, value and the mixture of heads, then the two between layers."""
    return [_WIDTH, _WIDTH, _WIDTH, _WIDTH, _BETWEEN, _WIDTH] * _LAYERS


def _linear_layers(shape: tuple[int, int], widths: list[int]) -> Model:
    """Matrices, one after the other, and the place of the greatest element of each row."""
    random = np.random.default_rng(0)
    builder = GraphBuilder()
    x, inner = builder.input("x", DType.INT8, shape, -100, 100), shape[1]
    for columns in widths:
        weights = builder.constant(DType.INT8, random.integers(-100, 101, (inner, columns), dtype=np.int8))
        sums = builder.node("matmul", x, weights, transpose_b=0, accumulator=DType.INT32)
        one = builder.constant(DType.INT32, np.array([1], np.int32))
        x, inner = builder.node("rescale", sums, one, shift=_SHIFT, dtype=DType.INT8), columns
    builder.output("best", builder.node("arg_max", x))
    return builder.model()
