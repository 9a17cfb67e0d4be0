"""The one rounding rule: to the nearest, ties up, wherever something is rounded."""

from __future__ import annotations

import numpy as np
import pytest

from metis.ai.graph import DType, GraphBuilder
from metis.ai.graph.rule import divide_rounded, shift_rounded
from metis.ai.reference import ReferenceEvaluator, arithmetic


@pytest.mark.parametrize(
    ("dividend", "divisor", "quotient"),
    [
        (1, 2, 1),
        (-1, 2, 0),
        (3, 2, 2),
        (-3, 2, -1),
        (5, 2, 3),
        (-5, 2, -2),
        (1, 3, 0),
        (2, 3, 1),
        (-2, 3, -1),
        (0, 7, 0),
    ],
)
def test_division__ties_and_others__rounds_ties_up(dividend: int, divisor: int, quotient: int) -> None:
    assert divide_rounded(dividend, divisor) == quotient
    assert int(arithmetic.divide_rounded(np.array([dividend], np.int64), divisor)[0]) == quotient


@pytest.mark.parametrize(
    ("value", "shift", "expected"),
    [
        (6, 2, 2),
        (-6, 2, -1),
        (5, 2, 1),
        (-5, 2, -1),
        (7, 0, 7),
        (-7, 0, -7),
        (1, 1, 1),
        (-1, 1, 0),
        (-(1 << 63), 62, -2),
    ],
)
def test_shift__ties_and_edges__rounds_ties_up(value: int, shift: int, expected: int) -> None:
    assert shift_rounded(value, shift) == expected
    assert int(arithmetic.shift_rounded(np.array([value], np.int64), shift)[0]) == expected


def test_rescale__ties_and_saturation__rounds_ties_up_and_clips() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT32, (8,), -1000, 1000)
    half = builder.constant(DType.INT32, [1])
    builder.output("y", builder.node("rescale", x, half, shift=1, dtype=DType.INT8))

    run = ReferenceEvaluator(builder.model()).run({"x": [-3, -1, 1, 3, 254, 255, -257, -1000]})

    assert run.outputs["y"].tolist() == [-1, 0, 1, 2, 127, 127, -128, -128]


def test_bit_lengths__powers_and_neighbours__are_pythons() -> None:
    values = [1, 2, 3, 4] + [(1 << n) + d for n in (8, 31, 32, 40, 62) for d in (-1, 0, 1)]

    assert arithmetic.bit_lengths(np.array(values, np.int64)).tolist() == [value.bit_length() for value in values]


def test_integer_roots__squares_and_neighbours__are_floors() -> None:
    roots = [1, 2, 3, 1000, 46_341, (1 << 31) - 1]
    values = [0] + [root * root + d for root in roots for d in (-1, 0)]

    expected = [0] + [root + d for root in roots for d in (-1, 0)]
    assert arithmetic.integer_roots(np.array(values, np.int64)).tolist() == expected
