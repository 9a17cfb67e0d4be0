"""Every operator of docs/ai-graph.md a second time: plain Python integers, one element after the other."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from metis.ai.graph import DType, Graph, attributes_of

Index = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Plain:
    """A tensor: its shape, and its elements in row-major order, of any size."""

    shape: Index
    elements: tuple[int, ...]

    def __getitem__(self, index: Sequence[int]) -> int:
        return self.elements[self.place(index)]

    def place(self, index: Sequence[int]) -> int:
        place = 0
        for size, at in zip(self.shape, index, strict=True):
            assert 0 <= at < size
            place = place * size + at
        return place

    def spread(self, index: Index) -> int:
        """The element that broadcasting puts at an index of a shape of this rank or a higher one."""
        own = index[len(index) - len(self.shape) :]
        return self[[0 if size == 1 else at for size, at in zip(self.shape, own, strict=True)]]

    def rows(self) -> list[tuple[int, ...]]:
        width = self.shape[-1]
        return [self.elements[begin : begin + width] for begin in range(0, len(self.elements), width)]


def indices(shape: Index) -> Iterator[Index]:
    return itertools.product(*map(range, shape))


def made(shape: Index, element: Callable[[Index], int]) -> Plain:
    return Plain(shape, tuple(element(index) for index in indices(shape)))


def from_rows(shape: Index, rows: Sequence[Sequence[int]]) -> Plain:
    return Plain((*shape[:-1], len(rows[0])), tuple(itertools.chain(*rows)))


def rounded(value: Fraction) -> int:
    """To the nearest integer, ties up."""
    return math.floor(value + Fraction(1, 2))


def clipped(value: int, lo: int, hi: int) -> int:
    return max(lo, min(hi, value))


def common_shape(*shapes: Index) -> Index:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(max(sizes) for sizes in zip(*padded, strict=True))


def each(formula: Callable[..., int], *operands: Plain) -> Plain:
    """A formula of single elements, broadcast."""
    shape = common_shape(*(operand.shape for operand in operands))
    return made(shape, lambda index: formula(*(operand.spread(index) for operand in operands)))


def matmul(a: Plain, b: Plain, transpose_b: int) -> Plain:
    columns = b.shape[-2] if transpose_b else b.shape[-1]

    def element(index: Index) -> int:
        *batch, row, column = index
        outer = batch if len(b.shape) > 2 else []
        return sum(
            a[[*batch, row, inner]] * b[[*outer, column, inner] if transpose_b else [*outer, inner, column]]
            for inner in range(a.shape[-1])
        )

    return made((*a.shape[:-1], columns), element)


def conv2d(x: Plain, weights: Plain, attributes: Mapping[str, Any]) -> Plain:
    (down, right), (top, left, bottom, past) = attributes["strides"], attributes["pads"]
    (deep, wide), groups = attributes["dilations"], attributes["groups"]
    filters, depth, rows, columns = weights.shape
    height = (x.shape[2] + top + bottom - (rows - 1) * deep - 1) // down + 1
    width = (x.shape[3] + left + past - (columns - 1) * wide - 1) // right + 1

    def element(index: Index) -> int:
        batch, number, i, j = index
        total = 0
        for channel, row, column in indices((depth, rows, columns)):
            y, z = i * down + row * deep - top, j * right + column * wide - left
            if 0 <= y < x.shape[2] and 0 <= z < x.shape[3]:
                source = number // (filters // groups) * depth + channel
                total += x[(batch, source, y, z)] * weights[(number, channel, row, column)]
        return total

    return made((x.shape[0], filters, height, width), element)


def pool(x: Plain, attributes: Mapping[str, Any], together: Callable[[list[int]], int]) -> Plain:
    (rows, columns), (down, right) = attributes["kernel"], attributes["strides"]
    top, left, bottom, past = attributes["pads"]
    height = (x.shape[2] + top + bottom - rows) // down + 1
    width = (x.shape[3] + left + past - columns) // right + 1

    def element(index: Index) -> int:
        batch, channel, i, j = index
        return together(
            [
                x[(batch, channel, i * down + row - top, j * right + column - left)]
                for row, column in indices((rows, columns))
                if 0 <= i * down + row - top < x.shape[2] and 0 <= j * right + column - left < x.shape[3]
            ]
        )

    return made((x.shape[0], x.shape[1], height, width), element)


def reduce(x: Plain, axis: int, together: Callable[[list[int]], int]) -> Plain:
    shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    return made(
        shape, lambda index: together([x[(*index[:axis], at, *index[axis + 1 :])] for at in range(x.shape[axis])])
    )


def lookup(value: int, table: Plain, first: int, shift: int) -> int:
    last = table.shape[0] - 1
    index, fraction = divmod(clipped(value - first, 0, last << shift), 1 << shift)
    here, there = table.elements[index], table.elements[min(index + 1, last)]
    return here + rounded(Fraction((there - here) * fraction, 1 << shift))


def quantise_rows(x: Plain, dtype: int) -> tuple[Plain, Plain]:
    largest = DType(dtype).hi
    greatest = [max(1, *map(abs, row)) for row in x.rows()]
    rows = []
    for row, top in zip(x.rows(), greatest, strict=True):
        shift = top.bit_length() + (23 if dtype == DType.INT8 else 15)
        reciprocal = (largest << shift) // top
        rows.append([rounded(Fraction(value * reciprocal, 1 << shift)) for value in row])
    return from_rows(x.shape, rows), Plain((*x.shape[:-1], 1), tuple(greatest))


def layer_norm(x: Plain, attributes: Mapping[str, Any]) -> Plain:
    rows = []
    for row in x.rows():
        mean = rounded(Fraction(sum(row), len(row))) if attributes["center"] else 0
        deviations = [rounded(Fraction(value - mean, 1 << attributes["shift"])) for value in row]
        squares = sum(value * value for value in deviations)
        variance = rounded(Fraction(squares, len(row))) + attributes["epsilon"]
        half = (62 - variance.bit_length()) // 2
        reciprocal = (1 << 60) // math.isqrt(variance << (2 * half))
        unit = 1 << (60 - half - attributes["fraction_bits"])
        rows.append([rounded(Fraction(value * reciprocal, unit)) for value in deviations])
    return from_rows(x.shape, rows)


def softmax(x: Plain, mask: Plain | None, attributes: Mapping[str, Any]) -> Plain:
    bits = 7 if attributes["dtype"] == DType.INT8 else 15
    kept_rows = made(x.shape, lambda index: 1 if mask is None else int(mask.spread(index) != 0)).rows()
    rows = []
    for row, kept in zip(x.rows(), kept_rows, strict=True):
        if not any(kept):
            rows.append([0] * len(row))
            continue
        greatest = max(value for value, keep in zip(row, kept, strict=True) if keep)
        powers = []
        for value, keep in zip(row, kept, strict=True):
            scaled = rounded(Fraction((greatest - value) * attributes["multiplier"], 1 << attributes["shift"]))
            whole, fraction = divmod(min(scaled, (32 << 16) - 1), 1 << 16)
            power = 0
            for coefficient in reversed(attributes["exp2"]):
                power = coefficient + rounded(Fraction(power * fraction, 1 << 16))
            powers.append(rounded(Fraction(power, 1 << whole)) if keep else 0)
        shift = sum(powers).bit_length() + 21
        reciprocal = (1 << shift) // sum(powers)
        unit = 1 << (shift - bits)
        rows.append([min((1 << bits) - 1, rounded(Fraction(power * reciprocal, unit))) for power in powers])
    return from_rows(x.shape, rows)


def top_k(x: Plain, k: int) -> tuple[Plain, Plain]:
    orders = [sorted(range(len(row)), key=lambda at, row=row: (-row[at], at))[:k] for row in x.rows()]  # type: ignore[misc]
    values = [[row[at] for at in order] for row, order in zip(x.rows(), orders, strict=True)]
    return from_rows(x.shape, values), from_rows(x.shape, orders)


def splitmix64(seed: int, steps: int) -> int:
    """The generator as its author wrote it: a state that advances, and a mix of it."""
    state, word = seed % 2**64, 0
    for _ in range(steps):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        word = state
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
        word ^= word >> 31
    return word


def sample(weights: Plain, seed: Plain) -> Plain:
    chosen = []
    for number, row in enumerate(weights.rows()):
        target = splitmix64(seed.elements[0], number + 1) * sum(row) >> 64
        at = 0
        while sum(row) and sum(row[: at + 1]) <= target:
            at += 1
        chosen.append(at)
    return Plain((*weights.shape[:-1], 1), tuple(chosen))


def cache_append(cache: Plain, x: Plain, place: Plain, axis: int) -> Plain:
    begin = place.elements[0]

    def element(index: Index) -> int:
        at = index[axis] - begin
        return x[(*index[:axis], at, *index[axis + 1 :])] if 0 <= at < x.shape[axis] else cache[index]

    return made(cache.shape, element)


def concat(parts: Sequence[Plain], axis: int) -> Plain:
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)

    def element(index: Index) -> int:
        at = index[axis]
        for part in parts:
            if at < part.shape[axis]:
                return part[(*index[:axis], at, *index[axis + 1 :])]
            at -= part.shape[axis]
        raise AssertionError

    return made(tuple(shape), element)


def apply(operator: str, operands: Sequence[Plain], attributes: Mapping[str, Any]) -> tuple[Plain, ...]:
    """One operator's results."""
    x, *rest = operands
    match operator:
        case "matmul":
            return (matmul(x, rest[0], attributes["transpose_b"]),)
        case "conv2d":
            return (conv2d(x, rest[0], attributes),)
        case "max_pool2d":
            return (pool(x, attributes, max),)
        case "sum_pool2d":
            return (pool(x, attributes, sum),)
        case "gather":
            return (made(rest[0].shape + x.shape[1:], _gathered(x, rest[0])),)
        case "add":
            return (each(lambda a, b: a + b, *operands),)
        case "subtract":
            return (each(lambda a, b: a - b, *operands),)
        case "multiply":
            return (each(lambda a, b: a * b, *operands),)
        case "divide":
            return (each(lambda a, b: rounded(Fraction(a << attributes["fraction_bits"], b)), *operands),)
        case "minimum":
            return (each(min, *operands),)
        case "maximum":
            return (each(max, *operands),)
        case "equal":
            return (each(lambda a, b: int(a == b), *operands),)
        case "less":
            return (each(lambda a, b: int(a < b), *operands),)
        case "select":
            return (each(lambda c, a, b: a if c else b, *operands),)
        case "clip":
            return (each(lambda a: clipped(a, attributes["lo"], attributes["hi"]), x),)
        case "rescale":
            dtype, unit = DType(attributes["dtype"]), 1 << attributes["shift"]
            return (each(lambda a, m: clipped(rounded(Fraction(a * m, unit)), dtype.lo, dtype.hi), *operands),)
        case "lookup":
            return (each(lambda a: lookup(a, rest[0], attributes["first"], attributes["shift"]), x),)
        case "quantise_rows":
            return quantise_rows(x, attributes["dtype"])
        case "layer_norm":
            return (layer_norm(x, attributes),)
        case "softmax":
            return (softmax(x, rest[0] if rest else None, attributes),)
        case "reduce_sum":
            return (reduce(x, attributes["axis"], sum),)
        case "reduce_max":
            return (reduce(x, attributes["axis"], max),)
        case "arg_max":
            return (from_rows(x.shape, [[row.index(max(row))] for row in x.rows()]),)
        case "top_k":
            return top_k(x, attributes["k"])
        case "sample":
            return (sample(x, rest[0]),)
        case "reshape":
            return (Plain(attributes["shape"], x.elements),)
        case "transpose":
            order = attributes["order"]
            shape = tuple(x.shape[axis] for axis in order)
            return (made(shape, lambda index: x[[index[order.index(axis)] for axis in range(len(order))]]),)
        case "slice":
            cuts = [range(*cut) for cut in zip(*(attributes[n] for n in ("starts", "stops", "steps")), strict=True)]
            return (
                made(tuple(map(len, cuts)), lambda index: x[[cut[at] for cut, at in zip(cuts, index, strict=True)]]),
            )
        case "concat":
            return (concat(operands, attributes["axis"]),)
        case "broadcast":
            return (made(attributes["shape"], x.spread),)
        case "cache_append":
            return (cache_append(x, rest[0], rest[1], attributes["axis"]),)
    raise AssertionError(operator)


def _gathered(table: Plain, places: Plain) -> Callable[[Index], int]:
    rank = len(places.shape)
    return lambda index: table[(places[index[:rank]], *index[rank:])]


def evaluate(graph: Graph, declared: Sequence[Plain]) -> list[Plain]:
    """Every tensor of a run, by number; ``declared`` are inputs, states and constants in order."""
    tensors = list(declared)
    for node in graph.nodes:
        operands = [tensors[number] for number in node.inputs]
        tensors += apply(node.operator, operands, attributes_of(node))
    return tensors
