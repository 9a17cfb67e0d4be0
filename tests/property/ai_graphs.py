"""Generated models: declared tensors first, then operators that take them, as far as the proof allows."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metis.ai.graph import OPERATORS, AttributeKind, DType, GraphBuilder, Model, Operator
from metis.types import InvalidGraph

EXP2 = (1 << 24, -11_628_000, 3_760_000, -520_000)


@dataclasses.dataclass(frozen=True)
class Sample:
    """A model with one set of inputs, and the operators that it has."""

    model: Model
    inputs: dict[str, npt.NDArray[np.int64]]
    operators: frozenset[str]


def ranges(dtype: DType) -> st.SearchStrategy[tuple[int, int]]:
    """Ranges of a type: small ones, its edges, all of it."""
    values = st.sampled_from(
        [dtype.lo, dtype.lo + 1, -dtype.hi // 3, -1, 0, 1, 5, dtype.hi // 2, dtype.hi]
    ) | st.integers(-20, 20)
    return st.tuples(values, values).map(lambda pair: (min(pair), max(pair)))


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...], lo: int, hi: int) -> npt.NDArray[np.int64]:
    count = int(np.prod(shape))
    values = st.sampled_from([lo, hi, (lo + hi) // 2]) | st.integers(lo, hi)
    flat = draw(st.lists(values, min_size=count, max_size=count))
    return np.array(flat, np.int64).reshape(shape)


SHAPES = st.sampled_from(
    [
        (1,),
        (3,),
        (4,),
        (1, 1),
        (2, 3),
        (3, 4),
        (4, 3),
        (2, 1),
        (2, 3, 4),
        (2, 4, 3),
        (1, 2, 4, 4),
        (2, 2, 3, 5),
        (2, 2, 2, 2),
    ]
)


IMAGES = st.sampled_from([(1, 2, 4, 4), (2, 2, 3, 5), (2, 1, 2, 3)])
ON_IMAGES = {"conv2d", "max_pool2d", "sum_pool2d"}


@st.composite
def attribute_values(draw: st.DrawFn, operator: Operator, rank: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """Values that often fit: the proof refuses those that do not."""
    values: dict[str, Any] = {}
    small = st.integers(1, 3)
    for attribute in operator.attributes:
        match attribute.name:
            case "strides" | "dilations" | "kernel":
                value: Any = (draw(small), draw(small))
            case "pads":
                value = tuple(draw(st.integers(0, 2)) for _ in range(4))
            case "groups":
                value = draw(st.integers(1, 2))
            case "axis":
                value = draw(st.integers(0, rank - 1))
            case "shift" | "fraction_bits":
                value = draw(st.sampled_from([0, 1, 2, 7, 15, 20]))
            case "lo":
                value = draw(st.integers(-150, 10))
            case "hi":
                value = draw(st.integers(10, 150))
            case "first":
                value = draw(st.integers(-130, 5))
            case "epsilon":
                value = draw(st.sampled_from([1, 2, 1000, 1 << 40]))
            case "multiplier":
                value = draw(st.sampled_from([0, 1, 94_548, DType.INT32.hi]))
            case "exp2":
                value = draw(st.sampled_from([EXP2, (1, 0, 0, 0), (5, -2, 1, 0)]))
            case "k":
                value = draw(st.integers(1, shape[-1]))
            case "shape" if operator.name == "broadcast":
                value = tuple(2 if size == 1 else size for size in shape)
            case "shape":
                value = draw(st.sampled_from([(int(np.prod(shape)),), (1, *shape)[:6], shape]))
                value = value if int(np.prod(value)) == int(np.prod(shape)) else shape
            case "order":
                value = tuple(draw(st.permutations(range(rank))))
            case "starts":
                value = tuple(draw(st.integers(0, size - 1)) for size in shape)
            case "stops":
                value = tuple(
                    draw(st.integers(low + 1, size)) for low, size in zip(values["starts"], shape, strict=True)
                )
            case "steps":
                value = tuple(draw(small) for _ in shape)
            case _:
                assert attribute.kind in {AttributeKind.DTYPE, AttributeKind.FLAG}
                value = draw(st.integers(attribute.lo, attribute.hi))
        values[attribute.name] = value
    return values


@st.composite
def samples(draw: st.DrawFn, node_count: int = 6, operators: tuple[str, ...] = tuple(sorted(OPERATORS))) -> Sample:
    """A model of up to ``node_count`` of some operators, with inputs in their ranges."""
    builder = GraphBuilder()
    inputs: dict[str, npt.NDArray[np.int64]] = {}
    handles: list[int] = []
    shapes = IMAGES if set(operators) <= ON_IMAGES else SHAPES
    for number in range(draw(st.integers(1, 3))):
        dtype, shape = draw(st.sampled_from(list(DType))), draw(shapes)
        lo, hi = draw(ranges(dtype))
        handles.append(builder.input(f"x{number}", dtype, shape, lo, hi))
        inputs[f"x{number}"] = draw(arrays(shape, lo, hi))
    for _ in range(draw(st.integers(0, 2))):
        dtype, shape = draw(st.sampled_from(list(DType))), draw(SHAPES)
        handles.append(builder.constant(dtype, draw(arrays(shape, *draw(ranges(dtype))))))
    used: set[str] = set()
    for _ in range(node_count):
        operator = OPERATORS[draw(st.sampled_from(operators))]
        taken = [draw(st.sampled_from(handles)) for _ in range(operator.inputs_lo)]
        taken = [fitting(draw, builder, operator, place, taken) for place in range(len(taken))]
        shape = builder.facts(taken[0]).shape
        attributes = draw(attribute_values(operator, len(shape), shape))
        try:
            handles += builder.nodes(operator.name, *taken, **attributes)
        except InvalidGraph:
            continue
        used.add(operator.name)
    builder.output("y", handles[-1])
    return Sample(builder.model(), inputs, frozenset(used))


def fitting(draw: st.DrawFn, builder: GraphBuilder, operator: Operator, place: int, taken: list[int]) -> int:
    """The operand at a place, often replaced by a new constant that the operator can take there."""
    first = builder.facts(taken[0])
    wanted: tuple[tuple[int, ...], int, int] | None = None
    match operator.name, place:
        case ("matmul", 1):
            wanted = ((first.shape[-1], first.shape[-1]), -127, 127)
        case ("conv2d", 1) if len(first.shape) == 4:
            wanted = ((2, first.shape[1], 2, 1), -127, 127)
        case ("gather", 1):
            wanted = ((2,), 0, first.shape[0] - 1)
        case ("lookup", 1):
            wanted = ((draw(st.integers(1, 9)),), -100, 100)
        case ("divide", 1):
            wanted = ((1,), 1, 9)
        case ("rescale", 1):
            wanted = ((1,), -1000, 1000)
        case ("sample", 1):
            wanted = ((1,), DType.INT64.lo, DType.INT64.hi)
        case ("cache_append", 1):
            return taken[0]
        case ("cache_append", 2):
            wanted = ((1,), 0, 0)
    if wanted is None or draw(st.integers(0, 9)) == 0:
        return taken[place]
    shape, lo, hi = wanted
    dtype = next(dtype for dtype in DType if dtype.lo <= lo and hi <= dtype.hi)
    return builder.constant(dtype, draw(arrays(shape, lo, hi)), lo, hi)


def for_each_model_with(operator: str, check: Callable[[Sample], None]) -> None:
    """Check generated models of one operator, of which at least ten are valid."""
    tried: collections.Counter[bool] = collections.Counter()

    @settings(max_examples=60, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(sample=samples(node_count=3, operators=(operator,)))
    def run(sample: Sample) -> None:
        tried[bool(sample.operators)] += 1
        check(sample)

    run()
    assert tried[True] >= 10, f"only {tried[True]} of the generated models have a {operator}"
