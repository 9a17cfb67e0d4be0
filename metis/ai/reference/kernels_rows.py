"""Operators on single elements and on rows, the last dimension; docs/ai-graph.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from metis.ai.graph.rule import Attributes
from metis.ai.reference.arithmetic import Array, bit_lengths, divide_rounded, integer_roots, shift_rounded
from metis.ai.reference.kernels_linear import Kernel

__all__ = ["KERNELS_ELEMENTWISE", "KERNELS_ROWS", "mixed"]

_WORD: Final = (1 << 64) - 1


def _row_sums(x: Array) -> Array:
    return np.asarray(np.sum(x, axis=-1, keepdims=True, dtype=np.int64), np.int64)


def _divide(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    dividend = np.left_shift(inputs[0], np.int64(attributes.integer("fraction_bits")))
    return (divide_rounded(dividend, inputs[1]),)


def _clip(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    return (np.clip(inputs[0], np.int64(attributes.integer("lo")), np.int64(attributes.integer("hi"))),)


def _rescale(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    dtype = attributes.dtype("dtype")
    scaled = shift_rounded(inputs[0] * inputs[1], attributes.integer("shift"))
    return (np.clip(scaled, np.int64(dtype.lo), np.int64(dtype.hi)),)


def _lookup(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, table = inputs
    shift, last = attributes.integer("shift"), len(table) - 1
    place = np.clip(x - attributes.integer("first"), np.int64(0), np.int64(last << shift))
    index = np.right_shift(place, np.int64(shift))
    fraction = place - np.left_shift(index, np.int64(shift))
    step = table[np.minimum(index + 1, last)] - table[index]
    return (table[index] + shift_rounded(step * fraction, shift),)


def _quantise_rows(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, dtype = inputs[0], attributes.dtype("dtype")
    greatest = np.maximum(np.max(np.abs(x), axis=-1, keepdims=True), np.int64(1))
    # The reciprocal has 31 bits for any row, so that an element's product has 62 at most.
    shift = bit_lengths(greatest) + (31 - 8 * dtype.size_bytes)
    reciprocal = np.floor_divide(np.left_shift(np.full_like(shift, dtype.hi), shift), greatest)
    return shift_rounded(x * reciprocal, shift), greatest


def _layer_norm(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x = inputs[0]
    width = x.shape[-1]
    if attributes.integer("center"):
        x = x - divide_rounded(_row_sums(x), width)
    deviation = shift_rounded(x, attributes.integer("shift"))
    variance = divide_rounded(_row_sums(deviation * deviation), width) + attributes.integer("epsilon")
    half = np.right_shift(62 - bit_lengths(variance), np.int64(1))
    root = integer_roots(np.left_shift(variance, 2 * half))
    reciprocal = np.floor_divide(np.int64(1 << 60), root)
    return (shift_rounded(deviation * reciprocal, 60 - half - attributes.integer("fraction_bits")),)


def _softmax(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, dtype = inputs[0], attributes.dtype("dtype")
    kept = np.broadcast_to(inputs[1] != 0, x.shape) if len(inputs) == 2 else np.ones(x.shape, np.bool_)
    # A row without any kept element is given a greatest of its own; it comes out as zeros.
    masked = np.where(kept, x, np.min(x, axis=-1, keepdims=True))
    distance = np.max(masked, axis=-1, keepdims=True) - masked
    scaled = shift_rounded(distance * attributes.integer("multiplier"), attributes.integer("shift"))
    exponent = np.minimum(scaled, np.int64((1 << 21) - 1))
    fraction = exponent & np.int64(0xFFFF)
    c0, c1, c2, c3 = attributes.integers("exp2")
    power = c2 + shift_rounded(c3 * fraction, 16)
    power = c1 + shift_rounded(power * fraction, 16)
    power = c0 + shift_rounded(power * fraction, 16)
    power = np.where(kept, shift_rounded(power, np.right_shift(exponent, np.int64(16))), np.int64(0))
    total = np.maximum(_row_sums(power), np.int64(1))
    # BOUND: a row sums to 2**40 at most, so that the dividend of the reciprocal is 2**62 at most.
    shift = bit_lengths(total) + 21
    reciprocal = np.floor_divide(np.left_shift(np.ones_like(shift), shift), total)
    bits = 8 * dtype.size_bytes - 1
    return (np.minimum(shift_rounded(power * reciprocal, shift - bits), np.int64(dtype.hi)),)


def _arg_max(inputs: Sequence[Array], _: Attributes) -> tuple[Array, ...]:
    return (np.argmax(inputs[0], axis=-1, keepdims=True).astype(np.int64),)


def _top_k(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    # The complement reverses the order and, unlike the negation, never overflows.
    order = np.argsort(~inputs[0], axis=-1, kind="stable")[..., : attributes.integer("k")].astype(np.int64)
    return np.take_along_axis(inputs[0], order, axis=-1), order


def mixed(seed: int, row: int) -> int:
    """SplitMix64's output number ``row`` from a seed, 64 bits."""
    word = (seed + (row + 1) * 0x9E3779B97F4A7C15) & _WORD
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    return word ^ (word >> 31)


def _sample(inputs: Sequence[Array], _: Attributes) -> tuple[Array, ...]:
    weights, seed = inputs[0], int(inputs[1][0])
    sums = np.cumsum(weights.reshape(-1, weights.shape[-1]), axis=-1, dtype=np.int64)
    chosen = np.zeros(len(sums), np.int64)
    for row, running in enumerate(sums):
        if total := int(running[-1]):
            chosen[row] = np.count_nonzero(running <= (mixed(seed, row) * total) >> 64)
    return (chosen.reshape(*weights.shape[:-1], 1),)


KERNELS_ELEMENTWISE: Final[Mapping[str, Kernel]] = {
    "add": lambda inputs, _: (inputs[0] + inputs[1],),
    "subtract": lambda inputs, _: (inputs[0] - inputs[1],),
    "multiply": lambda inputs, _: (inputs[0] * inputs[1],),
    "minimum": lambda inputs, _: (np.minimum(inputs[0], inputs[1]),),
    "maximum": lambda inputs, _: (np.maximum(inputs[0], inputs[1]),),
    "equal": lambda inputs, _: ((inputs[0] == inputs[1]).astype(np.int64),),
    "less": lambda inputs, _: ((inputs[0] < inputs[1]).astype(np.int64),),
    "select": lambda inputs, _: (np.where(inputs[0] != 0, inputs[1], inputs[2]),),
    "divide": _divide,
    "clip": _clip,
    "rescale": _rescale,
    "lookup": _lookup,
}

KERNELS_ROWS: Final[Mapping[str, Kernel]] = {
    "quantise_rows": _quantise_rows,
    "layer_norm": _layer_norm,
    "softmax": _softmax,
    "arg_max": _arg_max,
    "top_k": _top_k,
    "sample": _sample,
}
