"""
Models of a given shape with random weights, to measure what runs around them: weights decide nothing about speed.

``digits`` has the shape of a classifier of 8 × 8 images; ``encoder`` that of the linear layers of all-MiniLM-L6-v2 (6
layers of 384 columns, 1,536 between them) over 32 words.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from metis.ai.graph import DType, GraphBuilder, Model

__all__ = ["SHAPES", "random_inputs", "random_model"]

_WORDS, _WIDTH, _BETWEEN, _LAYERS = 32, 384, 1536, 6
# Query, key, value and the mixture of heads, then the two between layers.
_ENCODER: Final = [_WIDTH, _WIDTH, _WIDTH, _WIDTH, _BETWEEN, _WIDTH] * _LAYERS

SHAPES: Final[dict[str, tuple[tuple[int, int], list[int]]]] = {
    "digits": ((1, 64), [128, 128, 10]),
    "encoder": ((_WORDS, _WIDTH), _ENCODER),
}
"""Rows and columns of the input, and the columns of each matrix."""

# Sums of products of int8 are brought back to int8 by a shift that keeps a good part of their range.
_SHIFT: Final = 10
_MAGNITUDE_MAX: Final = 100


def random_model(name: str) -> Model:
    """Matrices, one after the other, and the place of the greatest element of each row."""
    random = np.random.default_rng(0)
    shape, widths = SHAPES[name]
    builder = GraphBuilder()
    x, inner = builder.input("x", DType.INT8, shape, -_MAGNITUDE_MAX, _MAGNITUDE_MAX), shape[1]
    for columns in widths:
        elements = random.integers(-_MAGNITUDE_MAX, _MAGNITUDE_MAX + 1, (inner, columns), dtype=np.int8)
        weights = builder.constant(DType.INT8, elements)
        sums = builder.node("matmul", x, weights, transpose_b=0, accumulator=DType.INT32)
        one = builder.constant(DType.INT32, np.array([1], np.int32))
        x, inner = builder.node("rescale", sums, one, shift=_SHIFT, dtype=DType.INT8), columns
    builder.output("best", builder.node("arg_max", x))
    return builder.model()


def random_inputs(name: str, count: int) -> list[bytes]:
    """Inputs of :func:`random_model`, as calls carry them."""
    random = np.random.default_rng(1)
    shape, _ = SHAPES[name]
    return [random.integers(-_MAGNITUDE_MAX, _MAGNITUDE_MAX + 1, shape, dtype=np.int8).tobytes() for _ in range(count)]
