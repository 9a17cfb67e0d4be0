"""Shapes and bounds of the operators that treat every element alone. docs/ai-graph.md gives the formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from metis.ai.graph.rule import (
    Attributes,
    Refused,
    Results,
    Rule,
    broadcast_shapes,
    fits_int64,
    fits_type,
    product_bounds,
    quotient_bounds,
    shift_rounded,
)
from metis.ai.graph.types import DType, TensorFacts

__all__ = ["RULES_ELEMENTWISE"]

_Bounds = tuple[int, int]


def _pair(name: str, bounds: Callable[[_Bounds, _Bounds], _Bounds]) -> Rule:
    """The rule of an exact operator on two tensors whose result must fit its type."""

    def rule(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
        a, b = inputs
        shape = broadcast_shapes(a.shape, b.shape)
        lo, hi = bounds((a.lo, a.hi), (b.lo, b.hi))
        dtype = attributes.dtype("dtype")
        fits_type(name, dtype, lo, hi)
        return (TensorFacts(dtype, shape, lo, hi),)

    return rule


def _compare(inputs: Sequence[TensorFacts], _: Attributes) -> Results:
    shape = broadcast_shapes(inputs[0].shape, inputs[1].shape)
    return (TensorFacts(DType.INT8, shape, 0, 1),)


def _divide(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    a, b = inputs
    shape = broadcast_shapes(a.shape, b.shape)
    if b.lo < 1:
        raise Refused(f"the divisor may be {b.lo}; it must be above 0")
    bits = attributes.integer("fraction_bits")
    lo, hi = a.lo << bits, a.hi << bits
    # The rounded quotient is computed as ⌊(2·dividend + divisor) / (2·divisor)⌋.
    fits_int64("twice the dividend and the divisor", 2 * lo + b.lo, 2 * hi + b.hi)
    fits_int64("twice the divisor", 0, 2 * b.hi)
    fits_int64("twice the dividend", 2 * lo, 2 * hi)
    bounds = quotient_bounds((lo, hi), (b.lo, b.hi))
    dtype = attributes.dtype("dtype")
    fits_type("the quotient", dtype, *bounds)
    return (TensorFacts(dtype, shape, *bounds),)


def _select(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    condition, a, b = inputs
    shape = broadcast_shapes(condition.shape, a.shape, b.shape)
    dtype = attributes.dtype("dtype")
    lo, hi = min(a.lo, b.lo), max(a.hi, b.hi)
    fits_type("the selected value", dtype, lo, hi)
    return (TensorFacts(dtype, shape, lo, hi),)


def _clip(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    lo, hi, dtype = attributes.integer("lo"), attributes.integer("hi"), attributes.dtype("dtype")
    if lo > hi:
        raise Refused(f"the range is empty: {lo} to {hi}")
    fits_type("the range", dtype, lo, hi)
    facts = TensorFacts(dtype, x.shape, min(max(x.lo, lo), hi), min(max(x.hi, lo), hi))
    return (facts,)


def _rescale(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    x, multiplier = inputs
    shape = broadcast_shapes(x.shape, multiplier.shape)
    shift, dtype = attributes.integer("shift"), attributes.dtype("dtype")
    lo, hi = product_bounds((x.lo, x.hi), (multiplier.lo, multiplier.hi))
    fits_int64("the product", lo, hi + (1 << shift >> 1))
    clipped = (min(max(shift_rounded(bound, shift), dtype.lo), dtype.hi) for bound in (lo, hi))
    return (TensorFacts(dtype, shape, *clipped),)


def _lookup(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    x, table = inputs
    if len(table.shape) != 1:
        raise Refused(f"the table has shape {table.shape}; it must have one dimension")
    first, shift = attributes.integer("first"), attributes.integer("shift")
    fits_int64("the distance from the table's first value", x.lo - first, x.hi - first)
    fits_int64("the table's length in steps", 0, (table.shape[0] - 1) << shift)
    step, half = (1 << shift) - 1, 1 << shift >> 1
    # BOUND: the difference of neighbours times the fraction, with what rounding adds.
    widest = table.hi - table.lo
    fits_int64("the interpolated difference", -widest * step, widest * step + half)
    fits_int64("the difference of neighbours", -widest, widest)
    facts = TensorFacts(table.dtype, x.shape, table.lo, table.hi)
    return (facts,)


RULES_ELEMENTWISE: Final[Mapping[str, Rule]] = {
    "add": _pair("the sum", lambda a, b: (a[0] + b[0], a[1] + b[1])),
    "subtract": _pair("the difference", lambda a, b: (a[0] - b[1], a[1] - b[0])),
    "multiply": _pair("the product", product_bounds),
    "minimum": _pair("the minimum", lambda a, b: (min(a[0], b[0]), min(a[1], b[1]))),
    "maximum": _pair("the maximum", lambda a, b: (max(a[0], b[0]), max(a[1], b[1]))),
    "equal": _compare,
    "less": _compare,
    "divide": _divide,
    "select": _select,
    "clip": _clip,
    "rescale": _rescale,
    "lookup": _lookup,
}
