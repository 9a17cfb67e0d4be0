"""Integer nodes with the scale of each tensor: what every rule of the lowering writes with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from metis.ai.graph import DType, GraphBuilder, TensorFacts
from metis.ai.graph.types import AttributeValue
from metis.ai.quantise.graph import Array

__all__ = ["HEADROOM", "NARROW_MAX", "Emitter", "Value", "fixed_point", "power_of_two_scale", "smallest_type"]

NARROW_MAX: Final = (1 << 15) - 1
HEADROOM: Final = 1.5
"""How much greater than in the calibration a value may at least be before it saturates."""

# Two of these are added in 32 bits.
_SUM_MAX: Final = (1 << 30) - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """
    A tensor of the integer graph and what its integers mean.

    Attributes
    ----------
    scale : the real value of one; 1 for integers of the model.
    exact : the integers are the model's own values, not rounded ones.
    """

    tensor: int
    scale: float
    exact: bool = False


def power_of_two_scale(magnitude: float, limit: int) -> float:
    """The least power of two with which ``magnitude``, with headroom, is at most ``limit``."""
    if magnitude <= 0:
        return 1.0 / limit
    return 2.0 ** math.ceil(math.log2(magnitude * HEADROOM / limit))


def fixed_point(ratios: Array, bits: int) -> tuple[Array, int]:
    """
    Integers m and a shift s with m / 2**s nearest to each ratio; the greatest has ``bits`` bits where s allows.

    A ratio too small for that becomes 0; one too large saturates.
    """
    greatest = float(np.max(np.abs(ratios)))
    if not greatest > 0:
        return np.zeros_like(ratios, dtype=np.int64), 0
    shift = min(62, max(0, bits - 1 - math.floor(math.log2(greatest))))
    limit = float(1 << 31) - 1
    multipliers = np.clip(np.round(np.asarray(ratios, np.float64) * 2.0**shift), -limit, limit)
    # A power of two, or a product of few: the shorter pair is the same number.
    integers = multipliers.astype(np.int64)
    while shift and not (integers & 1).any():
        integers, shift = integers >> 1, shift - 1
    return integers, shift


def smallest_type(lo: int, hi: int) -> DType:
    """The narrowest type that holds a range."""
    return next(dtype for dtype in DType if dtype.lo <= lo and hi <= dtype.hi)


class Emitter:
    """
    A :class:`GraphBuilder` that finds equal constants and equal nodes again, and knows how to change scales.

    Nothing here looks at the float model.
    """

    def __init__(self) -> None:
        self.builder = GraphBuilder()
        self._constants: dict[tuple[DType, tuple[int, ...], bytes], int] = {}
        self._nodes: dict[tuple[Any, ...], tuple[int, ...]] = {}
        self._turned: dict[int, tuple[int, tuple[int, ...]]] = {}

    def facts(self, value: Value | int) -> TensorFacts:
        """What is proven of a tensor."""
        return self.builder.facts(value.tensor if isinstance(value, Value) else value)

    def constant(self, values: Array, dtype: DType | None = None) -> int:
        """A constant in the narrowest type, or in the given one; equal ones are stored once."""
        array = np.atleast_1d(np.asarray(values, np.int64))
        kind = dtype or smallest_type(int(array.min()), int(array.max()))
        key = (kind, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.builder.constant(kind, array)
        return self._constants[key]

    def nodes(self, operator: str, *inputs: int, **attributes: AttributeValue) -> tuple[int, ...]:
        """Results of an operator; the same operator on the same tensors is there once."""
        key = (operator, inputs, tuple(sorted(attributes.items())))
        if key not in self._nodes:
            self._nodes[key] = self.builder.nodes(operator, *inputs, **attributes)
        return self._nodes[key]

    def node(self, operator: str, *inputs: int, **attributes: AttributeValue) -> int:
        """The first result of an operator."""
        return self.nodes(operator, *inputs, **attributes)[0]

    def reshape(self, tensor: int, shape: Sequence[int]) -> int:
        """The same elements in another shape; nothing where it has it."""
        shape = tuple(shape) or (1,)
        return tensor if self.facts(tensor).shape == shape else self.node("reshape", tensor, shape=shape)

    def transpose(self, tensor: int, order: Sequence[int]) -> int:
        """Dimensions in another order; one after another become one, and none where that changes nothing."""
        source, first = self._turned.get(tensor, (tensor, tuple(range(len(order)))))
        whole = tuple(first[axis] for axis in order)
        if whole == tuple(range(len(whole))):
            return source
        turned = self.node("transpose", source, order=whole)
        self._turned[turned] = (source, whole)
        return turned

    def binary(self, operator: str, a: int, b: int) -> int:
        """add, subtract, multiply, minimum or maximum, in the narrowest type from int32 on that holds the result."""
        x, y = self.facts(a), self.facts(b)
        if operator == "add":
            lo, hi = x.lo + y.lo, x.hi + y.hi
        elif operator == "subtract":
            lo, hi = x.lo - y.hi, x.hi - y.lo
        elif operator == "multiply":
            corners = [p * q for p in (x.lo, x.hi) for q in (y.lo, y.hi)]
            lo, hi = min(corners), max(corners)
        else:
            pick = min if operator == "minimum" else max
            lo, hi = pick(x.lo, y.lo), pick(x.hi, y.hi)
        kept = operator in ("minimum", "maximum") or (operator == "multiply" and {0, 1} >= {y.lo, y.hi})
        dtype = max(smallest_type(lo, hi), DType.INT8 if kept else DType.INT32)
        return self.node(operator, a, b, dtype=dtype)

    def clip(self, tensor: int, lo: int, hi: int) -> int:
        """Values forced into a range; nothing where they are in it."""
        facts = self.facts(tensor)
        if lo <= facts.lo and facts.hi <= hi:
            return tensor
        dtype = (
            smallest_type(max(lo, facts.lo), min(hi, facts.hi)) if facts.hi >= lo and facts.lo <= hi else facts.dtype
        )
        return self.node("clip", tensor, lo=lo, hi=hi, dtype=max(dtype, smallest_type(lo, hi)))

    def rescaled(self, tensor: int, ratios: Array | float, dtype: DType) -> int:
        """round(tensor · ratio), saturated to ``dtype``; ratios are broadcast, and of full precision for the type."""
        array = np.atleast_1d(np.asarray(ratios, np.float64))
        facts = self.facts(tensor)
        # BOUND: the product, and half of the divisor added, must fit 63 bits.
        room = 62 - max(1, facts.magnitude).bit_length()
        bits = min(room, 15 if dtype <= DType.INT16 and array.size == 1 else 24)
        multipliers, shift = fixed_point(array, max(2, bits))
        product = facts.magnitude * int(np.abs(multipliers).max())
        while product + (1 << shift >> 1) >= 1 << 63:
            multipliers, shift, product = multipliers >> 1, max(0, shift - 1), product >> 1
        return self.node("rescale", tensor, self.constant(multipliers), shift=shift, dtype=dtype)

    def at_scale(self, value: Value, scale: float, limit: int) -> Value:
        """The same real values in units of ``scale``, saturated where they leave ±``limit``."""
        facts = self.facts(value)
        same = abs(value.scale / scale - 1) < 1e-12
        if same and facts.magnitude <= limit:
            return value
        if same:
            return Value(self.clip(value.tensor, -limit, limit), scale, value.exact)
        dtype = DType.INT16 if limit <= NARROW_MAX else DType.INT32
        ratio = value.scale / scale
        # Saturating to the type is enough where the type is the limit.
        tensor = self.rescaled(value.tensor, ratio, dtype)
        greatest = self.facts(tensor)
        if greatest.magnitude > (limit + 1 if limit == NARROW_MAX else limit):
            tensor = self.clip(tensor, -limit, limit)
        exact = value.exact and ratio >= 1 and math.log2(ratio).is_integer()
        return Value(tensor, scale, exact)

    def narrowed(self, value: Value, magnitude: float, limit: int = NARROW_MAX) -> Value:
        """
        A value in few bits: unchanged where its bounds are within ``limit``, else at the scale for ``magnitude``.

        Parameters
        ----------
        magnitude : what was seen in the calibration.
        """
        facts = self.facts(value)
        if facts.magnitude <= limit + (limit == NARROW_MAX):
            return value
        scale = power_of_two_scale(magnitude, limit)
        if value.scale >= scale:
            # Already as coarse as it would be: only what the calibration never showed is cut off.
            return Value(self.clip(value.tensor, -limit, limit), value.scale, value.exact)
        return self.at_scale(value, scale, limit)

    def aligned(self, values: Sequence[Value], magnitudes: Sequence[float], result: float) -> list[Value]:
        """
        Values in one scale: the finest of theirs, so that the others are multiplied exactly, if that leaves room.

        Parameters
        ----------
        magnitudes : what was seen of each. result : what was seen of the tensor they become.
        """
        greatest = max([result, *magnitudes])
        finest = min(value.scale for value in values)
        if all(abs(value.scale / finest - 1) < 1e-12 for value in values):
            scale = max(finest, power_of_two_scale(greatest, _SUM_MAX)) if greatest else finest
        else:
            scale = max(finest, power_of_two_scale(greatest, _SUM_MAX >> 4))
        return [
            value
            if value.exact and value.scale == scale == 1.0 and self.facts(value).magnitude < 1 << 40
            else self.at_scale(value, scale, _SUM_MAX)
            for value in values
        ]
