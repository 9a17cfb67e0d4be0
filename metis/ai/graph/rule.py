"""What the rules of all operators share: their form, refusal, rounding, intervals, broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from metis.ai.graph.limits import DIMENSION_MAX, ELEMENTS_MAX
from metis.ai.graph.types import AttributeValue, DType, TensorFacts

__all__ = [
    "Attributes",
    "Refused",
    "Results",
    "Rule",
    "broadcast_shapes",
    "checked_shape",
    "divide_rounded",
    "elements_of",
    "fits_int64",
    "fits_type",
    "one",
    "product_bounds",
    "quotient_bounds",
    "row_shape",
    "several",
    "shift_rounded",
]


class Refused(ValueError):
    """An operator does not take these tensors or attributes; the caller adds which node it is."""


class Attributes:
    """A node's attributes by name, each as what it is."""

    def __init__(self, values: Mapping[str, AttributeValue]) -> None:
        self._values = values

    def integer(self, name: str) -> int:
        """A single value."""
        return one(self._values[name])

    def integers(self, name: str) -> tuple[int, ...]:
        """A list."""
        return several(self._values[name])

    def dtype(self, name: str) -> DType:
        """An element type."""
        return DType(one(self._values[name]))


Results = tuple[TensorFacts, ...]
Rule = Callable[[Sequence[TensorFacts], Attributes], Results]


def one(value: AttributeValue) -> int:
    """An attribute that is a single value; the structure check holds that it is."""
    assert isinstance(value, int)  # noqa: S101
    return value


def several(value: AttributeValue) -> tuple[int, ...]:
    """An attribute that is a list; the structure check holds that it is."""
    assert isinstance(value, tuple)  # noqa: S101
    return value


def divide_rounded(dividend: int, divisor: int) -> int:
    """The integer nearest to a quotient, the greater one of two: ⌊dividend / divisor + 1/2⌋. The divisor is above 0."""
    return (2 * dividend + divisor) // (2 * divisor)


def shift_rounded(value: int, shift: int) -> int:
    """``divide_rounded(value, 2**shift)``."""
    return (value + (1 << shift >> 1)) >> shift


def product_bounds(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Bounds of a product of two factors with bounds."""
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def quotient_bounds(dividend: tuple[int, int], divisor: tuple[int, int]) -> tuple[int, int]:
    """Bounds of a rounded quotient; the divisor's are above 0."""
    corners = [divide_rounded(x, y) for x in dividend for y in divisor]
    return min(corners), max(corners)


def fits_int64(what: str, lo: int, hi: int) -> None:
    """Raise :class:`Refused` unless all values from ``lo`` to ``hi`` fit 64 bits."""
    fits_type(what, DType.INT64, lo, hi)


def fits_type(what: str, dtype: DType, lo: int, hi: int) -> None:
    """Raise :class:`Refused` unless all values from ``lo`` to ``hi`` fit a type."""
    if lo < dtype.lo or hi > dtype.hi:
        raise Refused(f"{what} may be {lo} to {hi}, which does not fit {dtype.name.lower()}")


def elements_of(shape: Sequence[int]) -> int:
    """Number of elements of a shape."""
    count = 1
    for dimension in shape:
        count *= dimension
    return count


def checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """A result's shape; raises :class:`Refused` where it is larger than a tensor may be."""
    if any(not 1 <= dimension <= DIMENSION_MAX for dimension in shape):
        raise Refused(f"result shape {tuple(shape)} has a dimension that is not from 1 to {DIMENSION_MAX}")
    if elements_of(shape) > ELEMENTS_MAX:
        raise Refused(f"result shape {tuple(shape)} has more than {ELEMENTS_MAX} elements")
    return tuple(shape)


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """
    The common shape of operands: aligned at their last dimension, each dimension equal to the others or 1.

    Raises
    ------
    Refused : there is none.
    """
    rank = max(len(shape) for shape in shapes)
    common = []
    for axis in range(-rank, 0):
        sizes = {shape[axis] for shape in shapes if -axis <= len(shape)} - {1}
        if len(sizes) > 1:
            raise Refused(f"shapes {', '.join(map(str, shapes))} have no common one")
        common.append(sizes.pop() if sizes else 1)
    return checked_shape(common)


def row_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with its last dimension 1: one value for each row."""
    return (*shape[:-1], 1)
