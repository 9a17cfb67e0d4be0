"""Shapes and bounds of the operators that add up products or windows. docs/ai-graph.md gives the formulas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from metis.ai.graph.rule import (
    Attributes,
    Refused,
    Results,
    Rule,
    checked_shape,
    fits_type,
    product_bounds,
)
from metis.ai.graph.types import DType, TensorFacts

__all__ = ["RULES_LINEAR"]


def _accumulated(count: int, bounds: tuple[int, int], dtype: DType) -> tuple[int, int]:
    """
    Bounds of a sum of up to ``count`` terms, each within ``bounds``.

    BOUND: every partial sum, in whatever order, is at most ``count`` times the greatest magnitude, so an accumulator
    of ``dtype`` holds each of them.
    """
    widest = count * max(abs(bounds[0]), abs(bounds[1]))
    fits_type("the accumulator", dtype, -widest, widest)
    return count * bounds[0], count * bounds[1]


def _narrow(*factors: TensorFacts) -> None:
    for factor in factors:
        if factor.dtype is DType.INT64:
            raise Refused("a factor is int64; at most int32 is multiplied and accumulated")


def _matmul(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    a, b = inputs
    _narrow(a, b)
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise Refused(f"shapes {a.shape} and {b.shape} must have two dimensions or more")
    inner, columns = (b.shape[-1], b.shape[-2]) if attributes.integer("transpose_b") else b.shape[-2:]
    if a.shape[-1] != inner:
        raise Refused(f"shapes {a.shape} and {b.shape}: rows of {a.shape[-1]} meet columns of {inner}")
    if len(b.shape) > 2 and b.shape[:-2] != a.shape[:-2]:
        raise Refused(f"shapes {a.shape} and {b.shape} differ before their last two dimensions")
    shape = checked_shape((*a.shape[:-1], columns))
    dtype = attributes.dtype("accumulator")
    bounds = _accumulated(inner, product_bounds((a.lo, a.hi), (b.lo, b.hi)), dtype)
    return (TensorFacts(dtype, shape, *bounds),)


def _windows(size: int, pads: tuple[int, int], extent: int, stride: int) -> int:
    """How many windows of ``extent`` fit one dimension."""
    span = size + sum(pads) - extent
    if span < 0:
        raise Refused(f"a window of {extent} is wider than {size} with pads {pads}")
    return span // stride + 1


def _image(x: TensorFacts) -> tuple[int, int, int, int]:
    if len(x.shape) != 4:
        raise Refused(f"shape {x.shape} must be (batch, channels, height, width)")
    batch, channels, height, width = x.shape
    return batch, channels, height, width


def _plane(attributes: Attributes, size: tuple[int, int], extents: tuple[int, int]) -> tuple[int, int]:
    """Height and width of what windows over a plane give; pads are top, left, bottom, right."""
    top, left, bottom, right = attributes.integers("pads")
    strides = attributes.integers("strides")
    return (
        _windows(size[0], (top, bottom), extents[0], strides[0]),
        _windows(size[1], (left, right), extents[1], strides[1]),
    )


def _conv2d(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    x, weights = inputs
    _narrow(x, weights)
    batch, channels, height, width = _image(x)
    filters, depth, rows, columns = _image(weights)
    groups = attributes.integer("groups")
    if channels % groups or filters % groups or channels // groups != depth:
        raise Refused(f"{channels} channels, {filters} filters of depth {depth} do not split into {groups} groups")
    dilations = attributes.integers("dilations")
    extents = ((rows - 1) * dilations[0] + 1, (columns - 1) * dilations[1] + 1)
    out = _plane(attributes, (height, width), extents)
    shape = checked_shape((batch, filters, *out))
    terms = depth * rows * columns
    lo, hi = product_bounds((x.lo, x.hi), (weights.lo, weights.hi))
    dtype = attributes.dtype("accumulator")
    # Padding is zeros, and so is the product with one.
    bounds = _accumulated(terms, (min(lo, 0), max(hi, 0)), dtype)
    return (TensorFacts(dtype, shape, *bounds),)


def _pool_shape(x: TensorFacts, attributes: Attributes) -> tuple[int, ...]:
    """The result's shape."""
    batch, channels, height, width = _image(x)
    rows, columns = attributes.integers("kernel")
    top, left, bottom, right = attributes.integers("pads")
    # BOUND: a window so holds one element of the image at least.
    if max(top, bottom) >= rows or max(left, right) >= columns:
        raise Refused(f"pads {attributes.integers('pads')} reach the kernel's {rows} × {columns}")
    out = _plane(attributes, (height, width), (rows, columns))
    return checked_shape((batch, channels, *out))


def _max_pool2d(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    return (TensorFacts(x.dtype, _pool_shape(x, attributes), x.lo, x.hi),)


def _sum_pool2d(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    shape, window = _pool_shape(x, attributes), math.prod(attributes.integers("kernel"))
    dtype = attributes.dtype("accumulator")
    bounds = _accumulated(window, (min(x.lo, 0), max(x.hi, 0)), dtype)
    return (TensorFacts(dtype, shape, *bounds),)


def _reduced(x: TensorFacts, attributes: Attributes) -> tuple[tuple[int, ...], int]:
    """The shape with the axis reduced to 1, and how many elements that takes together."""
    axis = attributes.integer("axis")
    if axis >= len(x.shape):
        raise Refused(f"shape {x.shape} has no axis {axis}")
    return (*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.shape[axis]


def _reduce_sum(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    shape, count = _reduced(x, attributes)
    dtype = attributes.dtype("accumulator")
    return (TensorFacts(dtype, shape, *_accumulated(count, (x.lo, x.hi), dtype)),)


def _reduce_max(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    shape, _ = _reduced(x, attributes)
    return (TensorFacts(x.dtype, shape, x.lo, x.hi),)


RULES_LINEAR: Final[Mapping[str, Rule]] = {
    "matmul": _matmul,
    "conv2d": _conv2d,
    "max_pool2d": _max_pool2d,
    "sum_pool2d": _sum_pool2d,
    "reduce_sum": _reduce_sum,
    "reduce_max": _reduce_max,
}
