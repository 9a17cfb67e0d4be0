"""
Graphs of one operator at a shape drawn at random, to compare what operators cost with what they take.

In: a generator of random numbers. Out: a graph that has the operator several times, with inputs for it, worst cases
among them: rows of one element, steps of many, orders that caches do not like. What is drawn follows from the
generator's seed alone, so that a finding can be repeated.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metis.ai.graph import DType, Graph, GraphBuilder
from metis.ai.graph.weights import NUMPY_TYPES
from metis.types import InvalidGraph

__all__ = ["Operand", "Probe", "probe", "probed_operators"]

Values = npt.NDArray[np.generic]
Shape = tuple[int, ...]

_ELEMENTS_LOG2: Final = 17
_EXP2: Final = (16_777_216, -11_603_335, 3_882_178, -668_937)
_TRIES: Final = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that an operator takes, and in which order the values of its rows are."""

    dtype: DType
    shape: Shape
    lo: int
    hi: int
    order: str = "random"

    def values(self, numbers: np.random.Generator) -> Values:
        """Values in the range and order, as an engine takes them."""
        drawn = numbers.integers(self.lo, self.hi, self.shape, dtype=np.int64, endpoint=True)
        if self.order != "random":
            drawn = np.sort(drawn, axis=-1)[..., :: 1 if self.order == "ascending" else -1]
        return np.ascontiguousarray(drawn).astype(NUMPY_TYPES[self.dtype])


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """
    One operator with operands and attributes.

    Attributes
    ----------
    inputs : elements of the operands, as an engine takes them.
    seed : of :func:`probe`, which drew it.
    """

    operator: str
    operands: tuple[Operand, ...]
    attributes: dict[str, Any]
    inputs: tuple[bytes, ...]
    seed: int = 0

    @classmethod
    def of(cls, operator: str, operands: tuple[Operand, ...], attributes: dict[str, Any], seed: int) -> Probe:
        """With values of the operands that follow from the seed."""
        numbers = np.random.default_rng(seed)
        return cls(operator, operands, attributes, tuple(operand.values(numbers).tobytes() for operand in operands))

    @property
    def name(self) -> str:
        """Operator, types and shapes, and what else decides about time."""
        operands = " ".join(
            f"{operand.dtype.name.lower()}{'×'.join(map(str, operand.shape))}"
            + (f" {operand.order}" if operand.order != "random" else "")
            for operand in self.operands
        )
        kept = {key: value for key, value in self.attributes.items() if key not in ("exp2", "multiplier", "epsilon")}
        told = " ".join(f"{key}={value}".replace(" ", "") for key, value in kept.items())
        return f"{self.operator} {operands} {told}".rstrip()

    def graph(self, copies: int) -> Graph:
        """A graph with so many of this node, none of which needs another."""
        builder = GraphBuilder()
        handles = [
            builder.input(f"x{place}", operand.dtype, operand.shape, operand.lo, operand.hi)
            for place, operand in enumerate(self.operands)
        ]
        results = [builder.node(self.operator, *handles, **self.attributes) for _ in range(copies)]
        builder.output("y", results[-1])
        return builder.graph()


_Draw = Callable[[random.Random], tuple[tuple[Operand, ...], dict[str, Any]]]


def _size(numbers: random.Random, most: int) -> int:
    """1 to ``most``, small ones as often as great ones; often a power of two, or one."""
    if most <= 1 or numbers.random() < 0.2:
        return 1
    size = int(2 ** numbers.uniform(0, math.log2(most)))
    return 1 << (size.bit_length() - 1) if numbers.random() < 0.4 else max(1, size)


def _shape(numbers: random.Random, rank: int | None = None, elements_log2: int = _ELEMENTS_LOG2) -> Shape:
    """Up to 2**elements_log2 elements, one size after the other in any order."""
    rank = rank or numbers.choice((1, 2, 2, 2, 3, 4, 6))
    left = 1 << numbers.randint(4, elements_log2)
    sizes = []
    for _ in range(rank - 1):
        sizes.append(_size(numbers, left))
        left //= sizes[-1]
    sizes.append(left)
    numbers.shuffle(sizes)
    return tuple(sizes)


def _operand(numbers: random.Random, shape: Shape, bits: int = 62, order: str = "random") -> Operand:
    """Of any type, with values of so many bits at most."""
    dtype = numbers.choice(list(DType))
    most = min(dtype.hi, (1 << numbers.choice((7, 15, 31, bits))) - 1, (1 << bits) - 1)
    return Operand(dtype, shape, -most, most, order)


def _factors(numbers: random.Random, a: Shape, b: Shape, terms: int) -> tuple[tuple[Operand, Operand], DType]:
    """Two factors whose sums of so many products fit their accumulator."""
    types = [numbers.choice((DType.INT8, DType.INT8, DType.INT16, DType.INT32)) for _ in range(2)]
    accumulator = numbers.choice((DType.INT32, DType.INT64))
    bits = (accumulator.hi.bit_length() - terms.bit_length()) // 2
    most = [min(dtype.hi, (1 << max(1, bits)) - 1) for dtype in types]
    return (Operand(types[0], a, -most[0], most[0]), Operand(types[1], b, -most[1], most[1])), accumulator


def _matmul(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    batch, m, k, n = _shape(numbers, 4, 20)
    is_shared, transposed = numbers.random() < 0.3, numbers.random() < 0.5
    before = () if is_shared else (batch,)
    (a, b), accumulator = _factors(numbers, (batch, m, k), (*before, n, k) if transposed else (*before, k, n), k)
    return (a, b), {"transpose_b": int(transposed), "accumulator": accumulator}


def _conv2d(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    groups, filters, depth, batch = (_size(numbers, most) for most in (64, 32, 32, 4))
    rows, columns = _size(numbers, 7), _size(numbers, 7)
    height, width = rows + _size(numbers, 32) - 1, columns + _size(numbers, 32) - 1
    pads = tuple(numbers.choice((0, 0, 1, 3)) for _ in range(4))
    strides = (numbers.randint(1, 3), numbers.randint(1, 3))
    shapes = (batch, groups * depth, height, width), (groups * filters, depth, rows, columns)
    (x, w), accumulator = _factors(numbers, *shapes, depth * rows * columns)
    attributes = {"strides": strides, "pads": pads, "dilations": (1, 1), "groups": groups, "accumulator": accumulator}
    return (x, w), attributes


def _pool(**accumulator: DType) -> _Draw:
    def draw(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
        kernel = (_size(numbers, 9), _size(numbers, 9))
        batch, channels, height, width = _shape(numbers, 4, 14)
        shape = (batch, channels, height + kernel[0] - 1, width + kernel[1] - 1)
        strides = (numbers.randint(1, 3), numbers.randint(1, 3))
        attributes: dict[str, Any] = {"kernel": kernel, "strides": strides, "pads": (0, 0, 0, 0)}
        return (_operand(numbers, shape, 31),), attributes | accumulator

    return draw


def _gather(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    entries = 1 << numbers.randint(0, 20)
    rest = _shape(numbers, numbers.randint(1, 2), 10)
    if math.prod(rest) * entries > 1 << 21:
        rest = (1,)
    places = Operand(DType.INT32, (1 << numbers.randint(0, 14),), 0, entries - 1)
    return (_operand(numbers, (entries, *rest)), places), {}


def _repeated(numbers: random.Random, shape: Shape) -> Shape:
    """A shape that broadcasts to another."""
    kind = numbers.random()
    if kind < 0.3:
        return shape
    if kind < 0.6:
        return (*shape[:-1], 1)
    return tuple(size if numbers.random() < 0.5 else 1 for size in shape)


def _pair(bits: int, **attributes: Any) -> _Draw:
    def draw(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
        shape = _shape(numbers)
        return (_operand(numbers, shape, bits), _operand(numbers, _repeated(numbers, shape), bits)), attributes

    return draw


def _divide(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    shape = _shape(numbers)
    divisor = dataclasses.replace(_operand(numbers, _repeated(numbers, shape), 40), lo=1)
    return (_operand(numbers, shape, 40), divisor), {"fraction_bits": numbers.choice((0, 8, 20)), "dtype": DType.INT64}


def _select(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    shape = _shape(numbers)
    others = [_operand(numbers, _repeated(numbers, shape)) for _ in range(2)]
    return (_operand(numbers, shape), *others), {"dtype": DType.INT64}


def _clip(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    dtype = numbers.choice(list(DType))
    return (_operand(numbers, _shape(numbers)),), {"lo": -100, "hi": 100, "dtype": dtype}


def _rescale(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    shape = _shape(numbers)
    operands = _operand(numbers, shape, 30), _operand(numbers, _repeated(numbers, shape), 30)
    return operands, {"shift": numbers.choice((0, 7, 20, 40)), "dtype": numbers.choice(list(DType))}


def _lookup(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    table = _operand(numbers, (1 << numbers.randint(0, 18),), 24)
    shift = numbers.choice((0, 0, 4, 12))
    x = _operand(numbers, _shape(numbers), 31)
    return (x, table), {"first": x.lo, "shift": shift}


def _quantise_rows(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    return (_operand(numbers, _shape(numbers), 31),), {"dtype": numbers.choice((DType.INT8, DType.INT16))}


def _layer_norm(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    attributes = {"center": numbers.randint(0, 1), "shift": numbers.choice((0, 8)), "epsilon": 1, "fraction_bits": 12}
    return (_operand(numbers, _shape(numbers), 30),), attributes


def _softmax(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    shape = _shape(numbers, None, 16)
    attributes = {"multiplier": 94_548, "shift": 20, "exp2": _EXP2, "dtype": numbers.choice((DType.INT8, DType.INT16))}
    mask = [Operand(numbers.choice(list(DType)), _repeated(numbers, shape), 0, 1)] if numbers.random() < 0.5 else []
    return (_operand(numbers, shape, 40), *mask), attributes


def _reduce(**attributes: Any) -> _Draw:
    def draw(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
        shape = _shape(numbers)
        return (_operand(numbers, shape, 40),), {"axis": numbers.randrange(len(shape)), **attributes}

    return draw


def _ordered(numbers: random.Random, shape: Shape, lo: int | None = None) -> Operand:
    drawn = _operand(numbers, shape, 40, numbers.choice(("random", "ascending", "descending")))
    return drawn if lo is None else dataclasses.replace(drawn, lo=lo)


def _arg_max(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    return (_ordered(numbers, _shape(numbers)),), {}


def _top_k(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    shape = _shape(numbers, None, 15)
    return (_ordered(numbers, shape),), {"k": _size(numbers, shape[-1])}


def _sample(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    seed = Operand(DType.INT64, (1,), DType.INT64.lo, DType.INT64.hi)
    return (_ordered(numbers, _shape(numbers), lo=0), seed), {}


def _reshape(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    x = _operand(numbers, _shape(numbers))
    return (x,), {"shape": (math.prod(x.shape),)}


def _transpose(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    x = _operand(numbers, _shape(numbers, numbers.randint(2, 6), 20))
    order = list(range(len(x.shape)))
    numbers.shuffle(order)
    return (x,), {"order": tuple(order)}


def _slice(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    x = _operand(numbers, _shape(numbers, None, 20))
    starts = tuple(numbers.randrange(size) if numbers.random() < 0.3 else 0 for size in x.shape)
    steps = tuple(_size(numbers, size) for size in x.shape)
    return (x,), {"starts": starts, "stops": x.shape, "steps": steps}


def _concat(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    shape = _shape(numbers, None, 15)
    x = _operand(numbers, shape)
    return (x,) * numbers.randint(1, 8), {"axis": numbers.randrange(len(shape))}


def _broadcast(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    shape = _shape(numbers)
    return (_operand(numbers, _repeated(numbers, shape)),), {"shape": shape}


def _cache_append(numbers: random.Random) -> tuple[tuple[Operand, ...], dict[str, Any]]:
    shape = _shape(numbers)
    axis = numbers.randrange(len(shape))
    added = _size(numbers, shape[axis])
    cache = _operand(numbers, shape)
    x = dataclasses.replace(cache, shape=(*shape[:axis], added, *shape[axis + 1 :]))
    return (cache, x, Operand(DType.INT32, (1,), 0, shape[axis] - added)), {"axis": axis}


_DRAWS: Final[dict[str, _Draw]] = {
    "matmul": _matmul,
    "conv2d": _conv2d,
    "max_pool2d": _pool(),
    "sum_pool2d": _pool(accumulator=DType.INT64),
    "gather": _gather,
    "add": _pair(61, dtype=DType.INT64),
    "subtract": _pair(61, dtype=DType.INT64),
    "multiply": _pair(31, dtype=DType.INT64),
    "divide": _divide,
    "minimum": _pair(62, dtype=DType.INT64),
    "maximum": _pair(62, dtype=DType.INT64),
    "equal": _pair(62),
    "less": _pair(62),
    "select": _select,
    "clip": _clip,
    "rescale": _rescale,
    "lookup": _lookup,
    "quantise_rows": _quantise_rows,
    "layer_norm": _layer_norm,
    "softmax": _softmax,
    "reduce_sum": _reduce(accumulator=DType.INT64),
    "reduce_max": _reduce(),
    "arg_max": _arg_max,
    "top_k": _top_k,
    "sample": _sample,
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "concat": _concat,
    "broadcast": _broadcast,
    "cache_append": _cache_append,
}


def probed_operators() -> tuple[str, ...]:
    """Names of the operators that :func:`probe` draws: all."""
    return tuple(_DRAWS)


def probe(operator: str, seed: int) -> Probe:
    """A valid use of an operator; the same for the same seed."""
    numbers = random.Random(f"{operator}{seed}")  # noqa: S311 - reproducible, not secret
    for _ in range(_TRIES):
        operands, attributes = _DRAWS[operator](numbers)
        given = Probe(operator, operands, attributes, ())
        try:
            given.graph(1)
        except InvalidGraph:
            continue
        return dataclasses.replace(Probe.of(operator, operands, attributes, numbers.getrandbits(32)), seed=seed)
    raise AssertionError(f"no valid {operator} among {_TRIES}")
