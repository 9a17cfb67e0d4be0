"""Shapes and bounds of the operators on rows, the last dimension. docs/ai-graph.md gives the formulas."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from metis.ai.graph.rule import (
    Attributes,
    Refused,
    Results,
    Rule,
    broadcast_shapes,
    fits_int64,
    row_shape,
    shift_rounded,
)
from metis.ai.graph.types import DType, TensorFacts

__all__ = ["RULES_ROWS"]

_SOFTMAX_ROW_MAX: Final = 1 << 16
_EXP2_MAX: Final = 1 << 24


def _quantise_rows(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    if x.magnitude > DType.INT32.hi:
        raise Refused(f"a magnitude may be {x.magnitude}; at most {DType.INT32.hi} is quantised")
    dtype = attributes.dtype("dtype")
    quantised = TensorFacts(dtype, x.shape, -dtype.hi if x.lo < 0 else 0, dtype.hi if x.hi > 0 else 0)
    greatest = TensorFacts(DType.INT32, row_shape(x.shape), 1, max(1, x.magnitude))
    return (quantised, greatest)


def _layer_norm(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    width = x.shape[-1]
    shift, bits = attributes.integer("shift"), attributes.integer("fraction_bits")
    fits_int64("twice the sum of a row", -2 * width * x.magnitude, 2 * width * x.magnitude + width)
    spread = x.hi - x.lo if attributes.integer("center") else x.magnitude
    fits_int64("the difference from the mean", -spread, spread + (1 << shift >> 1))
    deviation = max(abs(shift_rounded(-spread, shift)), shift_rounded(spread, shift))
    if deviation > DType.INT32.hi:
        raise Refused(f"a shifted deviation may be {deviation}, which does not fit int32; raise shift")
    fits_int64("twice the sum of squares of a row", 0, 2 * width * deviation * deviation + width)
    variance = deviation * deviation + attributes.integer("epsilon")
    if variance >= 1 << 62:
        raise Refused(f"the variance may be {variance}; it must be below 2**62")
    # BOUND: a deviation is below √(width · variance), for no square exceeds the sum of squares; the integer root and
    # the reciprocal add less than one part in 2**29. docs/ai-graph.md derives it.
    bound = math.isqrt(width << (2 * bits)) + 1
    bound += (bound >> 29) + 1
    if bound > DType.INT32.hi:
        raise Refused(f"rows of {width} with {bits} fraction bits may reach {bound}, which does not fit int32")
    return (TensorFacts(DType.INT32, x.shape, -bound, bound),)


def _exp2_bounds(coefficients: Sequence[int]) -> tuple[int, int]:
    """Bounds of the polynomial that softmax evaluates, for every fraction from 0 to 65535."""
    lo = hi = coefficients[3]
    for coefficient in (coefficients[2], coefficients[1], coefficients[0]):
        corners = [shift_rounded(bound * fraction, 16) for bound in (lo, hi) for fraction in (0, 0xFFFF)]
        lo, hi = coefficient + min(corners), coefficient + max(corners)
    return lo, hi


def _softmax(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    x = inputs[0]
    if x.shape[-1] > _SOFTMAX_ROW_MAX:
        raise Refused(f"rows of {x.shape[-1]} are longer than {_SOFTMAX_ROW_MAX}")
    if len(inputs) == 2 and broadcast_shapes(x.shape, inputs[1].shape) != x.shape:
        raise Refused(f"mask {inputs[1].shape} does not fit {x.shape}")
    shift = attributes.integer("shift")
    spread = (x.hi - x.lo) * attributes.integer("multiplier")
    fits_int64("the difference from the greatest", 0, x.hi - x.lo)
    fits_int64("the scaled difference from the greatest", 0, spread + (1 << shift >> 1))
    coefficients = attributes.integers("exp2")
    lo, hi = _exp2_bounds(coefficients)
    if coefficients[0] < 1 or lo < 0 or hi > _EXP2_MAX:
        raise Refused(
            f"the polynomial exp2 may be {lo} to {hi} and begins with {coefficients[0]}; see docs/ai-graph.md"
        )
    dtype = attributes.dtype("dtype")
    return (TensorFacts(dtype, x.shape, 0, dtype.hi),)


def _arg_max(inputs: Sequence[TensorFacts], _: Attributes) -> Results:
    (x,) = inputs
    facts = TensorFacts(DType.INT32, row_shape(x.shape), 0, x.shape[-1] - 1)
    return (facts,)


def _top_k(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    count = attributes.integer("k")
    if count > x.shape[-1]:
        raise Refused(f"rows of {x.shape[-1]} have no {count} greatest")
    shape = (*x.shape[:-1], count)
    values = TensorFacts(x.dtype, shape, x.lo, x.hi)
    places = TensorFacts(DType.INT32, shape, 0, x.shape[-1] - 1)
    return (values, places)


def _sample(inputs: Sequence[TensorFacts], _: Attributes) -> Results:
    weights, seed = inputs
    if weights.lo < 0:
        raise Refused(f"a weight may be {weights.lo}; weights must not be negative")
    if seed.shape != (1,):
        raise Refused(f"the seed has shape {seed.shape}; it must be (1,)")
    fits_int64("the sum of weights", 0, weights.shape[-1] * weights.hi)
    facts = TensorFacts(DType.INT32, row_shape(weights.shape), 0, weights.shape[-1] - 1)
    return (facts,)


RULES_ROWS: Final[Mapping[str, Rule]] = {
    "quantise_rows": _quantise_rows,
    "layer_norm": _layer_norm,
    "softmax": _softmax,
    "arg_max": _arg_max,
    "top_k": _top_k,
    "sample": _sample,
}
