"""What validation refuses: each bound just inside and just outside, each shape rule, each limit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from metis.ai.graph import Declaration, DType, Graph, GraphBuilder, Limits, Output, validate_graph
from metis.types import InvalidGraph
from tests.unit.ai.small_models import counter

INT32, INT64 = DType.INT32, DType.INT64
EXP2 = (1 << 24, -11_628_000, 3_760_000, -520_000)

Operand = tuple[DType, tuple[int, ...], int, int]


def node(operator: str, *operands: Operand, **attributes: Any) -> GraphBuilder:
    """A graph of one operator on inputs."""
    builder = GraphBuilder()
    handles = [builder.input(f"x{number}", *operand) for number, operand in enumerate(operands)]
    for number, handle in enumerate(builder.nodes(operator, *handles, **attributes)):
        builder.output(f"y{number}", handle)
    return builder


def int8(*shape: int, lo: int = -128, hi: int = 127) -> Operand:
    return (DType.INT8, shape, lo, hi)


def int16(*shape: int, lo: int = -(1 << 15), hi: int = (1 << 15) - 1) -> Operand:
    return (DType.INT16, shape, lo, hi)


def int32(*shape: int, lo: int = INT32.lo, hi: int = INT32.hi) -> Operand:
    return (INT32, shape, lo, hi)


def int64(*shape: int, lo: int = INT64.lo, hi: int = INT64.hi) -> Operand:
    return (INT64, shape, lo, hi)


IMAGE = {"strides": (1, 1), "pads": (0, 0, 0, 0)}
CONVOLUTION = {**IMAGE, "dilations": (1, 1), "groups": 1, "accumulator": INT32}
RESCALE = {"shift": 0, "dtype": INT64}

# Each case: the operator with operands at the edge of what is proven, and the first operands beyond.
EDGES: list[tuple[str, tuple[Operand, ...], tuple[Operand, ...], dict[str, Any]]] = [
    # 2^14 · 2^7 · 1023 terms fit int32, 1024 do not.
    (
        "matmul",
        (int16(1, 1023, lo=-(1 << 14), hi=0), int8(1023, 1)),
        (int16(1, 1024, lo=-(1 << 14), hi=0), int8(1024, 1)),
        {"transpose_b": 0, "accumulator": INT32},
    ),
    (
        "conv2d",
        (int16(1, 1, 1, 1023, lo=-(1 << 14), hi=0), int8(1, 1, 1, 1023)),
        (int16(1, 1, 1, 1024, lo=-(1 << 14), hi=0), int8(1, 1, 1, 1024)),
        CONVOLUTION,
    ),
    (
        "sum_pool2d",
        (int32(1, 1, 1, 2, lo=-(1 << 30) + 1, hi=0),),
        (int32(1, 1, 1, 2, lo=-(1 << 30) - 1, hi=0),),
        {**IMAGE, "kernel": (1, 2), "accumulator": INT32},
    ),
    (
        "reduce_sum",
        (int32(3, lo=0, hi=INT32.hi // 3),),
        (int32(3, lo=0, hi=INT32.hi // 3 + 1),),
        {"axis": 0, "accumulator": INT32},
    ),
    ("add", (int8(1), int8(1, lo=0, hi=0)), (int8(1), int8(1, lo=0, hi=1)), {"dtype": DType.INT8}),
    ("subtract", (int8(1, lo=0), int8(1, lo=0)), (int8(1, lo=0), int8(1, lo=-1)), {"dtype": DType.INT8}),
    (
        "multiply",
        (int16(1, lo=-256, hi=0), int8(1, lo=-127)),
        (int16(1, lo=-256, hi=0), int8(1)),
        {"dtype": DType.INT16},
    ),
    ("minimum", (int16(1, lo=0), int8(1)), (int16(1), int8(1)), {"dtype": DType.INT8}),
    ("maximum", (int8(1), int16(1, hi=0)), (int8(1), int16(1)), {"dtype": DType.INT8}),
    ("divide", (int32(1), int32(1, lo=1)), (int32(1), int32(1, lo=0)), {"fraction_bits": 0, "dtype": INT32}),
    ("divide", (int8(1), int8(1, lo=1)), (int16(1), int8(1, lo=1)), {"fraction_bits": 0, "dtype": DType.INT8}),
    ("divide", (int8(1), int8(1, lo=1)), (int16(1), int8(1, lo=1)), {"fraction_bits": 54, "dtype": INT64}),
    ("select", (int8(1), int8(1), int8(1)), (int8(1), int8(1), int16(1)), {"dtype": DType.INT8}),
    ("rescale", (int64(1), int8(1, lo=0, hi=1)), (int64(1), int8(1, lo=0, hi=2)), RESCALE),
    (
        "rescale",
        (int64(1, hi=INT64.hi - 1), int8(1, lo=1, hi=1)),
        (int64(1), int8(1, lo=1, hi=1)),
        {**RESCALE, "shift": 1},
    ),
    ("lookup", (int64(1, lo=-1), int8(2)), (int64(1, lo=-2), int8(2)), {"first": INT64.hi, "shift": 0}),
    ("lookup", (int8(1), int8(2)), (int8(1), int16(2)), {"first": 0, "shift": 54}),
    ("lookup", (int8(1), int8(2, lo=0, hi=1)), (int8(1), int8(3, lo=0, hi=1)), {"first": 0, "shift": 62}),
    ("quantise_rows", (int32(1, lo=-INT32.hi),), (int32(1),), {"dtype": DType.INT8}),
    (
        "layer_norm",
        (int32(2, lo=-(1 << 29), hi=1 << 29),),
        (int32(2),),
        {"center": 1, "shift": 0, "epsilon": 1, "fraction_bits": 8},
    ),
    (
        "layer_norm",
        (int32(8, lo=-(1 << 28), hi=1 << 28),),
        (int32(64, lo=-(1 << 28), hi=1 << 28),),
        {"center": 0, "shift": 0, "epsilon": 1, "fraction_bits": 8},
    ),
    ("softmax", (int32(1),), (int64(1),), {"multiplier": 1, "shift": 0, "exp2": EXP2, "dtype": DType.INT8}),
    (
        "softmax",
        (int32(1 << 16),),
        (int32((1 << 16) + 1),),
        {"multiplier": INT32.hi // 2, "shift": 0, "exp2": EXP2, "dtype": DType.INT8},
    ),
    ("sample", (int64(4, lo=0, hi=INT64.hi // 4), int64(1)), (int64(4, lo=0, hi=INT64.hi // 4 + 1), int64(1)), {}),
    ("sample", (int8(4, lo=0), int64(1)), (int8(4, lo=-1), int64(1)), {}),
    ("gather", (int8(5, 2), int8(3, lo=0, hi=4)), (int8(5, 2), int8(3, lo=0, hi=5)), {}),
    ("gather", (int8(5, 2), int8(3, lo=0, hi=4)), (int8(5, 2), int8(3, lo=-1, hi=4)), {}),
    (
        "cache_append",
        (int8(4, 2), int8(1, 2), int8(1, lo=0, hi=3)),
        (int8(4, 2), int8(1, 2), int8(1, lo=0, hi=4)),
        {"axis": 0},
    ),
]


@pytest.mark.parametrize(("operator", "inside", "outside", "attributes"), EDGES)
def test_operator__at_the_edge_of_its_bounds__is_proven_and_beyond_refused(
    operator: str, inside: tuple[Operand, ...], outside: tuple[Operand, ...], attributes: dict[str, Any]
) -> None:
    validate_graph(node(operator, *inside, **attributes).graph())
    with pytest.raises(InvalidGraph, match=operator) as caught:
        node(operator, *outside, **attributes)
    assert caught.value.field == "nodes[0]"


@pytest.mark.parametrize(
    ("operator", "operands", "attributes"),
    [
        ("matmul", (int8(3), int8(3, 1)), {"transpose_b": 0, "accumulator": INT32}),
        ("matmul", (int8(2, 3), int8(2, 3)), {"transpose_b": 0, "accumulator": INT32}),
        ("matmul", (int8(2, 2, 3), int8(3, 3, 2)), {"transpose_b": 0, "accumulator": INT32}),
        ("matmul", (int64(2, 3, lo=0, hi=1), int8(3, 2)), {"transpose_b": 0, "accumulator": INT64}),
        ("conv2d", (int8(1, 2, 3), int8(1, 2, 3, 3)), CONVOLUTION),
        ("conv2d", (int8(1, 2, 3, 3), int8(1, 2, 4, 1)), CONVOLUTION),
        ("conv2d", (int8(1, 2, 3, 3), int8(1, 1, 2, 2)), CONVOLUTION),
        ("conv2d", (int8(1, 2, 3, 3), int8(3, 1, 2, 2)), {**CONVOLUTION, "groups": 2}),
        ("max_pool2d", (int8(1, 1, 3, 3),), {"kernel": (2, 2), "strides": (1, 1), "pads": (2, 0, 0, 0)}),
        ("add", (int8(2, 3), int8(2)), {"dtype": DType.INT16}),
        ("lookup", (int8(3), int8(3, 2)), {"first": 0, "shift": 0}),
        ("clip", (int8(3),), {"lo": 1, "hi": 0, "dtype": DType.INT8}),
        ("clip", (int16(3),), {"lo": 0, "hi": 128, "dtype": DType.INT8}),
        ("softmax", (int8(2, 3), int8(2)), {"multiplier": 1, "shift": 0, "exp2": EXP2, "dtype": DType.INT8}),
        ("softmax", (int8(2, 3), int8(2, 2, 3)), {"multiplier": 1, "shift": 0, "exp2": EXP2, "dtype": DType.INT8}),
        ("softmax", (int8(3),), {"multiplier": 1, "shift": 0, "exp2": (0, 1, 0, 0), "dtype": DType.INT8}),
        ("softmax", (int8(3),), {"multiplier": 1, "shift": 0, "exp2": (5, -6, 0, 0), "dtype": DType.INT8}),
        ("softmax", (int8(3),), {"multiplier": 1, "shift": 0, "exp2": (1 << 24, 2, 0, 0), "dtype": DType.INT8}),
        ("reduce_max", (int8(2, 3),), {"axis": 2}),
        ("top_k", (int8(2, 3),), {"k": 4}),
        ("sample", (int8(3, lo=0), int64(2)), {}),
        ("reshape", (int8(2, 3),), {"shape": (7,)}),
        ("transpose", (int8(2, 3),), {"order": (0, 0)}),
        ("slice", (int8(2, 3),), {"starts": (0,), "stops": (2,), "steps": (1,)}),
        ("slice", (int8(3),), {"starts": (1,), "stops": (1,), "steps": (1,)}),
        ("slice", (int8(3),), {"starts": (0,), "stops": (4,), "steps": (1,)}),
        ("concat", (int8(2, 3), int8(2, 3)), {"axis": 2}),
        ("concat", (int8(2, 3), int16(2, 3)), {"axis": 0}),
        ("concat", (int8(2, 3), int8(2, 2)), {"axis": 0}),
        ("broadcast", (int8(2, 3),), {"shape": (2, 6)}),
        ("broadcast", (int8(2, 3),), {"shape": (3,)}),
        ("broadcast", (int8(1, 1),), {"shape": (1 << 24, 1 << 5)}),
        ("gather", (int8(1, 1, 1, 1), int8(1, 1, 1, 1, lo=0, hi=0)), {}),
        ("cache_append", (int8(4, 2), int16(1, 2), int8(1, lo=0, hi=0)), {"axis": 0}),
        ("cache_append", (int8(4, 2), int8(1, 3), int8(1, lo=0, hi=0)), {"axis": 0}),
        ("cache_append", (int8(4, 2), int8(1, 2), int8(2, lo=0, hi=0)), {"axis": 0}),
        ("cache_append", (int8(4, 2), int8(1, 2), int8(1, lo=0, hi=0)), {"axis": 2}),
    ],
)
def test_operator__operands_that_do_not_fit__is_refused(
    operator: str, operands: tuple[Operand, ...], attributes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidGraph) as caught:
        node(operator, *operands, **attributes)
    assert caught.value.field == "nodes[0]"


def test_builder__attributes_of_another_operator__are_refused() -> None:
    with pytest.raises(InvalidGraph, match="has the attributes"):
        node("add", int8(1), int8(1), accumulator=INT32)
    with pytest.raises(InvalidGraph, match="no operator"):
        node("sine", int8(1))


@pytest.mark.parametrize("values", [[1.5], [], [1 << 70], ["1"], [True], [[200]]])
def test_builder__constant_of_other_than_its_integers__is_refused(values: list[Any]) -> None:
    with pytest.raises(InvalidGraph, match="constants"):
        GraphBuilder().constant(DType.INT8, values)


def test_builder__state_without_an_update__is_refused() -> None:
    builder = GraphBuilder()
    builder.output("h", builder.state("h", DType.INT8, (1,)))
    with pytest.raises(InvalidGraph, match="without an update"):
        builder.graph()


@pytest.mark.parametrize("field", ["macs", "memory_bytes", "weights_bytes"])
def test_graph__at_and_above_a_limit__is_proven_and_refused(field: str) -> None:
    graph = counter().graph
    cost = getattr(validate_graph(graph).cost, field)

    assert getattr(validate_graph(graph, dataclasses.replace(Limits(), **{field: cost})).cost, field) == cost
    with pytest.raises(InvalidGraph, match=f"more than the limit {cost - 1}") as caught:
        validate_graph(graph, dataclasses.replace(Limits(), **{field: cost - 1}))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("state", "field"),
    [
        (Declaration("total", INT32, (1, 2), -1001, -1), "states[0].lo"),
        (Declaration("total", INT32, (1, 2), -1000, 999), "updates[0]"),
        (Declaration("total", INT64, (1, 2), -1000, 1000), "updates[0]"),
        (Declaration("total", INT32, (2,), -1000, 1000), "updates[0]"),
    ],
)
def test_state__whose_update_may_leave_it__is_refused(state: Declaration, field: str) -> None:
    with pytest.raises(InvalidGraph) as caught:
        validate_graph(dataclasses.replace(counter().graph, states=(state,)))
    assert caught.value.field == field


def test_validation__of_the_largest_tensors__touches_none_of_them() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (1 << 14, 1 << 14))
    y = builder.node("matmul", x, x, transpose_b=1, accumulator=INT32)
    builder.output("y", y)

    with pytest.raises(InvalidGraph) as caught:
        validate_graph(builder.graph(), Limits(macs=1 << 41))
    assert caught.value.field == "macs"
    assert 1 << 42 < validate_graph(builder.graph()).cost.macs < 1 << 43


def test_memory__of_a_chain_of_results__counts_only_what_is_alive() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (64,), -1, 1)
    for _ in range(10):
        x = builder.node("clip", x, lo=-1, hi=1, dtype=DType.INT8)
    builder.output("x", x)

    # The input, and at each node what it reads and what it writes.
    assert validate_graph(builder.graph()).cost.memory_bytes == 3 * 64


def test_memory__of_results_nobody_reads__counts_them_at_their_node() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (64,))
    builder.nodes("top_k", x, k=64)
    builder.output("x", x)

    assert validate_graph(builder.graph()).cost.memory_bytes == 64 + 64 + 256


def test_graph__that_only_gives_its_input_back__is_proven() -> None:
    graph = Graph((Declaration("x", DType.INT8, (1,), 0, 1),), (), (), (Output("x", 0),))

    assert validate_graph(graph).cost.macs == 0


def test_bounds__of_layer_norm__hold_for_its_most_extreme_row() -> None:
    from metis.ai.reference import ReferenceEvaluator

    builder = node("layer_norm", int32(64, lo=-(1 << 20), hi=1 << 20), center=0, shift=0, epsilon=1, fraction_bits=16)
    evaluator = ReferenceEvaluator(builder.model())
    row = np.zeros(64, np.int64)
    row[5] = 1 << 20

    highest = int(evaluator.run({"x0": row}).outputs["y0"].max())

    # One element alone is √64 standard deviations: 8 · 2^16, and the bound is just above.
    assert highest == 8 << 16
    assert highest <= evaluator.proven.tensors[1].hi <= highest + 4
