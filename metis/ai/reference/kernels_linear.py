"""Operators that add up products or windows, and those that only move elements; docs/ai-graph.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from metis.ai.graph.rule import Attributes
from metis.ai.reference.arithmetic import Array

__all__ = ["KERNELS_LINEAR", "KERNELS_SHAPE", "Kernel"]

Kernel = Callable[[Sequence[Array], Attributes], tuple[Array, ...]]


def _matmul(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    a, b = inputs
    return (np.matmul(a, np.swapaxes(b, -1, -2) if attributes.integer("transpose_b") else b),)


def _inside(size: int, count: int, offset: int, stride: int) -> tuple[slice, slice]:
    """
    The windows whose element at an offset is inside an image, and where in the image those elements are.

    Padding is never made: it may be far larger than the image.
    """
    first = max(0, -(offset // stride))
    last = min(count - 1, (size - 1 - offset) // stride)
    if last < first:
        return slice(0, 0), slice(0, 0)
    return slice(first, last + 1), slice(first * stride + offset, last * stride + offset + 1, stride)


def _counts(x: Array, extents: tuple[int, int], attributes: Attributes) -> tuple[int, int]:
    """How many windows there are in each direction."""
    top, left, bottom, right = attributes.integers("pads")
    down, across = attributes.integers("strides")
    rows = (x.shape[2] + top + bottom - extents[0]) // down + 1
    return rows, (x.shape[3] + left + right - extents[1]) // across + 1


def _places(
    x: Array, kernel: tuple[int, int], dilations: tuple[int, int], counts: tuple[int, int], attributes: Attributes
) -> Iterator[tuple[int, int, tuple[slice, slice], Array]]:
    """For each place of the kernel: the windows for which it is inside the image, and what they have there."""
    (top, left, _, _), (down, across) = attributes.integers("pads"), attributes.integers("strides")
    for row in range(kernel[0]):
        rows, y = _inside(x.shape[2], counts[0], row * dilations[0] - top, down)
        for column in range(kernel[1]):
            columns, z = _inside(x.shape[3], counts[1], column * dilations[1] - left, across)
            part = x[:, :, y, z]
            if part.size:
                yield row, column, (rows, columns), part


def _conv2d(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, weights = inputs
    groups, (deep, wide) = attributes.integer("groups"), attributes.integers("dilations")
    filters, depth, height, width = weights.shape
    counts = _counts(x, ((height - 1) * deep + 1, (width - 1) * wide + 1), attributes)
    batch = x.shape[0]
    total = np.zeros((batch, filters, *counts), np.int64)
    for row, column, (rows, columns), part in _places(x, (height, width), (deep, wide), counts, attributes):
        factors = weights[:, :, row, column].reshape(1, groups, filters // groups, depth)
        products = np.matmul(factors, part.reshape(batch, groups, depth, -1))
        total[:, :, rows, columns] += products.reshape(batch, filters, *part.shape[2:])
    return (total,)


def _pool(x: Array, start: int, together: Callable[[Array, Array], Array], attributes: Attributes) -> tuple[Array, ...]:
    height, width = attributes.integers("kernel")
    counts = _counts(x, (height, width), attributes)
    pooled = np.full((*x.shape[:2], *counts), start, np.int64)
    for _, _, (rows, columns), part in _places(x, (height, width), (1, 1), counts, attributes):
        pooled[:, :, rows, columns] = together(pooled[:, :, rows, columns], part)
    return (pooled,)


def _max_pool2d(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    # Each window holds an element of the image, and none is below the least of all.
    return _pool(inputs[0], int(inputs[0].min()), np.maximum, attributes)


def _sum_pool2d(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    return _pool(inputs[0], 0, np.add, attributes)


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
