"""Operators that add up products or windows, and those that only move elements; docs/ai-graph.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from metis.ai.graph.rule import Attributes
from metis.ai.reference.arithmetic import Array

__all__ = ["KERNELS_LINEAR", "KERNELS_SHAPE", "Kernel"]

Kernel = Callable[[Sequence[Array], Attributes], tuple[Array, ...]]


def _matmul(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    a, b = inputs
    return (np.matmul(a, np.swapaxes(b, -1, -2) if attributes.integer("transpose_b") else b),)


def _windows(x: Array, extents: tuple[int, int], attributes: Attributes, padding: int) -> tuple[Array, int, int]:
    """The padded image, and how many windows it has in each direction."""
    top, left, bottom, right = attributes.integers("pads")
    strides = attributes.integers("strides")
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=padding)
    rows = (padded.shape[2] - extents[0]) // strides[0] + 1
    columns = (padded.shape[3] - extents[1]) // strides[1] + 1
    return padded, rows, columns


def _at(padded: Array, row: int, column: int, rows: int, columns: int, attributes: Attributes) -> Array:
    """The element that each window has at one place."""
    down, right = attributes.integers("strides")
    return padded[:, :, row : row + (rows - 1) * down + 1 : down, column : column + (columns - 1) * right + 1 : right]


def _conv2d(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, weights = inputs
    groups, (down, right) = attributes.integer("groups"), attributes.integers("dilations")
    filters, depth, height, width = weights.shape
    extents = ((height - 1) * down + 1, (width - 1) * right + 1)
    padded, rows, columns = _windows(x, extents, attributes, 0)
    batch = x.shape[0]
    total = np.zeros((batch, groups, filters // groups, rows * columns), np.int64)
    for row in range(height):
        for column in range(width):
            part = _at(padded, row * down, column * right, rows, columns, attributes)
            part = part.reshape(batch, groups, depth, rows * columns)
            total += np.matmul(weights[:, :, row, column].reshape(1, groups, filters // groups, depth), part)
    return (total.reshape(batch, filters, rows, columns),)


def _pool(inputs: Sequence[Array], attributes: Attributes, padding: int) -> list[Array]:
    height, width = attributes.integers("kernel")
    padded, rows, columns = _windows(inputs[0], (height, width), attributes, padding)
    return [_at(padded, row, column, rows, columns, attributes) for row in range(height) for column in range(width)]


def _max_pool2d(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    # Padding is never the greatest: each window holds an element, and none is below the least of all.
    places = _pool(inputs, attributes, int(inputs[0].min()))
    greatest = places[0]
    for place in places[1:]:
        greatest = np.maximum(greatest, place)
    return (greatest,)


def _sum_pool2d(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    places = _pool(inputs, attributes, 0)
    total = np.zeros(places[0].shape, np.int64)
    for place in places:
        total += place
    return (total,)


def _reduce_sum(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    return (np.sum(inputs[0], axis=attributes.integer("axis"), keepdims=True, dtype=np.int64),)


def _reduce_max(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    return (np.max(inputs[0], axis=attributes.integer("axis"), keepdims=True),)


def _slice(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    bounds = zip(*(attributes.integers(name) for name in ("starts", "stops", "steps")), strict=True)
    return (inputs[0][tuple(slice(*bound) for bound in bounds)],)


def _cache_append(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    cache, x, place = inputs
    axis, begin = attributes.integer("axis"), int(place[0])
    appended = cache.copy()
    window = [slice(None)] * cache.ndim
    window[axis] = slice(begin, begin + x.shape[axis])
    appended[tuple(window)] = x
    return (appended,)


KERNELS_LINEAR: Final[Mapping[str, Kernel]] = {
    "matmul": _matmul,
    "conv2d": _conv2d,
    "max_pool2d": _max_pool2d,
    "sum_pool2d": _sum_pool2d,
    "reduce_sum": _reduce_sum,
    "reduce_max": _reduce_max,
}

KERNELS_SHAPE: Final[Mapping[str, Kernel]] = {
    "reshape": lambda inputs, attributes: (np.reshape(inputs[0], attributes.integers("shape")),),
    "transpose": lambda inputs, attributes: (np.transpose(inputs[0], attributes.integers("order")),),
    "slice": _slice,
    "concat": lambda inputs, attributes: (np.concatenate(list(inputs), axis=attributes.integer("axis")),),
    "broadcast": lambda inputs, attributes: (np.broadcast_to(inputs[0], attributes.integers("shape")),),
    "gather": lambda inputs, _: (inputs[0][inputs[1]],),
    "cache_append": _cache_append,
}
