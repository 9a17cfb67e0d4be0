"""Exact arithmetic on 64-bit integer arrays. Validation has proven that none of it overflows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "bit_lengths", "divide_rounded", "integer_roots", "shift_rounded"]

# Every array of the evaluator, whatever the tensor's type and the machine: numpy's own integer differs between them.
Array = npt.NDArray[np.int64]

_ONE = np.int64(1)


def divide_rounded(dividend: Array, divisor: Array | int) -> Array:
    """⌊dividend / divisor + 1/2⌋ for a divisor above 0: to the nearest, ties up."""
    quotients: Array = np.floor_divide(2 * dividend + divisor, 2 * np.asarray(divisor, np.int64))
    return quotients


def shift_rounded(values: Array, shift: Array | int) -> Array:
    """``divide_rounded(values, 2**shift)`` for a shift from 0 to 62, one for all or one for each."""
    shifts = np.asarray(shift, np.int64)
    # numpy shifts signed integers arithmetically: towards minus infinity.
    return np.right_shift(values + np.right_shift(np.left_shift(_ONE, shifts), _ONE), shifts)


def bit_lengths(values: Array) -> Array:
    """How many bits each value above 0 has: the greatest n with 2**(n-1) <= value."""
    rest = values.copy()
    lengths = np.ones_like(values)
    for step in (32, 16, 8, 4, 2, 1):
        longer = np.right_shift(rest, np.int64(step)) > 0
        lengths += np.where(longer, np.int64(step), np.int64(0))
        rest = np.where(longer, np.right_shift(rest, np.int64(step)), rest)
    return lengths


def integer_roots(values: Array) -> Array:
    """⌊√value⌋ of values from 0 to 2**62 - 1, one bit after the other."""
    roots = np.zeros_like(values)
    for bit in range(30, -1, -1):
        longer = roots | np.int64(1 << bit)
        roots = np.where(longer * longer <= values, longer, roots)
    return roots
