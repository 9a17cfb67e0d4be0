"""What operators cost: the documented numbers, and never less than what a plain walk over the elements counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from metis.ai.graph import DType, GraphBuilder, validate_graph
from metis.ai.probes import Probe, probe, probed_operators
from tests.unit.ai.test_validation import CONVOLUTION, EXP2, IMAGE, Operand, int8, int64, node

NODE = 6000
SHAPES_OF_EACH = 40
SINGLE_ELEMENTS = ("add", "subtract", "multiply", "divide", "minimum", "maximum", "equal", "less", "select", "rescale")


@pytest.mark.parametrize(
    ("operator", "operands", "attributes", "macs"),
    [
        (
            "matmul",
            (int8(2, 3, 4), int8(4, 5)),
            {"transpose_b": 0, "accumulator": DType.INT32},
            # Too few columns for panels: 6 rows, 4 terms, 5 columns.
            2500 + 130 * 20 + 800 * 7 * 4 + 6 * (3200 + 30 * 20),
        ),
        (
            "matmul",
            (int8(2, 3, 5), int8(2, 5, 9)),
            {"transpose_b": 0, "accumulator": DType.INT32},
            2 * (18000 + 130 * 45 + 3 * (1300 + 6 * 16)),
        ),
        (
            "conv2d",
            (int8(2, 4, 5, 5), int8(6, 2, 3, 3)),
            {**CONVOLUTION, "groups": 2},
            # Two images of two groups: 3 filters, 18 terms, 9 places.
            4 * (18000 + 450 * 18 * 9 + 3 * (1300 + 18 * 16)),
        ),
        (
            "max_pool2d",
            (int8(1, 2, 4, 4),),
            {**IMAGE, "kernel": (2, 3)},
            2 * (3000 + 200 * 6 * 3) + 80 * 6 * 2 * 3 * 2,
        ),
        (
            "sum_pool2d",
            (int8(1, 2, 4, 4),),
            {**IMAGE, "kernel": (2, 3), "accumulator": DType.INT32},
            2 * (3000 + 200 * 6 * 3) + 80 * 6 * 2 * 3 * 2,
        ),
        ("reduce_sum", (int8(3, 4),), {"axis": 0, "accumulator": DType.INT32}, 2500 * 3 + 20 * 12),
        ("reduce_max", (int8(3, 4, 1),), {"axis": 1}, 2500 * 3 + 20 * 12),
        ("add", (int8(3, 1), int8(4)), {"dtype": DType.INT16}, 3500 * 3 * 3 + 12),
        ("add", (int8(3, 4), int8(3, 4)), {"dtype": DType.INT16}, 3500 * 3 + 12),
        ("select", (int8(3, 1), int8(4), int8(1)), {"dtype": DType.INT8}, 3500 * 4 * 3 + 20 * 12),
        ("less", (int8(3, 1), int8(4)), {}, 3500 * 3 * 3 + 20 * 12),
        ("divide", (int8(3, 1), int8(4, lo=1)), {"fraction_bits": 0, "dtype": DType.INT16}, 3500 * 3 * 3 + 1000 * 12),
        ("clip", (int8(12, 1),), {"lo": 0, "hi": 1, "dtype": DType.INT8}, 3500 * 2 + 12),
        ("rescale", (int8(3, 1), int8(4)), {"shift": 1, "dtype": DType.INT8}, 3500 * 3 * 3 + 12),
        ("lookup", (int8(12), int8(5)), {"first": 0, "shift": 0}, 3500 * 2 + 150 * 12),
        ("quantise_rows", (int8(3, 4),), {"dtype": DType.INT8}, 12000 * 3 + 20 * 12),
        (
            "layer_norm",
            (int8(3, 4),),
            {"center": 1, "shift": 0, "epsilon": 1, "fraction_bits": 8},
            12000 * 3 + 10 * 12,
        ),
        (
            "softmax",
            (int8(3, 4),),
            {"multiplier": 1, "shift": 0, "exp2": EXP2, "dtype": DType.INT8},
            12000 * 3 + 150 * 12,
        ),
        (
            "softmax",
            (int8(12, 1), int8(1)),
            {"multiplier": 1, "shift": 0, "exp2": EXP2, "dtype": DType.INT8},
            14000 * 12 + 350 * 12,
        ),
        ("arg_max", (int8(3, 4),), {}, 2500 * 3 + 120 * 12),
        ("top_k", (int8(3, 4),), {"k": 4}, 4000 * 3 + 300 * (1 + 3) * 12),
        ("sample", (int8(3, 4, lo=0), int64(1)), {}, 2500 * 3 + 120 * 12),
        ("gather", (int8(5, 4), int8(3, lo=0, hi=4)), {}, 1500 * 3 + 4 * 12),
        ("reshape", (int8(5, 4),), {"shape": (20,)}, 0),
        ("transpose", (int8(5, 4),), {"order": (1, 0)}, 2000 * 4 + 60 * 20),
        ("slice", (int8(5, 4),), {"starts": (1, 0), "stops": (5, 4), "steps": (2, 3)}, 2000 * 2 + 60 * 4),
        ("broadcast", (int8(4),), {"shape": (3, 4)}, 2000 * 3 + 12),
        ("concat", (int8(1, 4), int8(2, 4)), {"axis": 0}, 2000 * 2 + 12),
        ("cache_append", (int8(6, 2), int8(1, 2), int8(1, lo=0, hi=5)), {"axis": 0}, 2000 * 3 + 12),
    ],
)
def test_work__of_an_operator__is_the_documented(
    operator: str, operands: tuple[Operand, ...], attributes: dict[str, Any], macs: int
) -> None:
    proven = validate_graph(node(operator, *operands, **attributes).graph())

    assert proven.cost.macs == NODE + macs
    assert proven.node_macs == (NODE + macs,)


def test_work__of_a_product_with_a_constant__leaves_out_its_packing() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (2, 6))
    weights = builder.constant(DType.INT8, np.ones((6, 70), np.int64))
    builder.output("y", builder.node("matmul", x, weights, transpose_b=0, accumulator=DType.INT32))

    assert validate_graph(builder.graph()).cost.macs == NODE + 2500 * 2 + 2 * (1300 * 2 + 6 * 80)


def _broken_runs(given: Probe, shape: tuple[int, ...]) -> int:
    """
    Runs of a walk over the result's elements in order, counted one by one.

    In a run every operand goes on by one element, or stays where it is.
    """
    walks = []
    for operand in given.operands:
        places = np.arange(math.prod(operand.shape)).reshape(operand.shape)
        walks.append(np.diff(np.broadcast_to(places, shape).ravel()))
    runs, kept = 1, None
    for steps in zip(*walks, strict=True):
        if any(step not in (0, 1) for step in steps) or kept not in (None, steps):
            runs, kept = runs + 1, None
        else:
            kept = steps
    return runs


@pytest.mark.parametrize("operator", SINGLE_ELEMENTS)
def test_work__of_single_elements_at_awkward_shapes__pays_for_every_run(operator: str) -> None:
    tried = 0
    for seed in range(SHAPES_OF_EACH):
        given = probe(operator, seed)
        proven = validate_graph(given.graph(1))
        shape = proven.tensors[-1].shape
        if math.prod(shape) > 1 << 13:
            continue
        tried += 1
        assert proven.cost.macs >= 3500 * (len(given.operands) + 1) * _broken_runs(given, shape), given.name
    assert tried > SHAPES_OF_EACH // 4


@pytest.mark.parametrize("operator", probed_operators())
def test_work__at_awkward_shapes__is_not_below_what_the_result_takes(operator: str) -> None:
    for seed in range(SHAPES_OF_EACH):
        given = probe(operator, seed)
        proven = validate_graph(given.graph(1))
        x, y = given.operands[0], proven.tensors[-1]
        macs = proven.cost.macs
        if operator == "matmul":
            assert macs >= math.prod(y.shape) * x.shape[-1], given.name
        elif operator in ("quantise_rows", "layer_norm", "softmax", "arg_max", "top_k", "sample"):
            # Whatever their length, each row is begun.
            assert macs >= 2500 * math.prod(x.shape[:-1]) + math.prod(x.shape), given.name
        elif operator != "reshape":
            assert macs >= NODE + math.prod(y.shape), given.name


@pytest.mark.parametrize("operator", probed_operators())
def test_probe__same_seed__is_the_same(operator: str) -> None:
    assert probe(operator, 3) == probe(operator, 3)
