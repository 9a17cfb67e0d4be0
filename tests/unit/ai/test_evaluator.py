"""Running a model: inputs and states that do not fit are refused by name, and results have their declared types."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from metis.ai.graph import DType, GraphBuilder
from metis.ai.reference import ReferenceEvaluator
from metis.types import InvalidInput
from tests.unit.ai.small_models import counter


@pytest.mark.parametrize(
    ("inputs", "name"),
    [
        ({}, "x"),
        ({"x": [[1, 2]], "y": [1]}, "y"),
        ({"x": [1, 2]}, "x"),
        ({"x": [[1.0, 2.0]]}, "x"),
        ({"x": np.array([[1, 2]], np.uint8)}, "x"),
        ({"x": [[1, 101]]}, "x"),
        ({"x": [[-101, 1]]}, "x"),
        ({"x": [[True, False]]}, "x"),
        ({"x": "text"}, "x"),
        ({"x": [[1, 2], [3]]}, "x"),
        ({"x": [[1, 1 << 70]]}, "x"),
        ({"x": None}, "x"),
    ],
)
def test_run__input_that_does_not_fit__is_refused_by_name(inputs: dict[str, npt.ArrayLike], name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ReferenceEvaluator(counter()).run(inputs)
    assert caught.value.name == name


@pytest.mark.parametrize("states", [{}, {"total": [[1001, 0]]}, {"total": [[0, 0]], "other": [0]}])
def test_run__state_that_does_not_fit__is_refused(states: dict[str, npt.ArrayLike]) -> None:
    with pytest.raises(InvalidInput):
        ReferenceEvaluator(counter()).run({"x": [[1, 1]]}, states)


def test_run__twice_with_states__goes_on_from_the_first() -> None:
    evaluator = ReferenceEvaluator(counter())
    first = evaluator.run({"x": [[10, 20]]})
    second = evaluator.run({"x": [[100, 100]]}, first.states)

    assert first.outputs["y"].tolist() == [[-50, 170]]
    assert second.outputs["total"].tolist() == [[-150, 1000]]
    assert {name: value.dtype for name, value in second.states.items()} == {"total": np.dtype(np.int32)}


def test_run__observed__shows_every_tensor_once_in_order() -> None:
    seen: list[int] = []
    evaluator = ReferenceEvaluator(counter())
    evaluator.run({"x": [[1, 1]]}, observe=lambda number, _: seen.append(number))

    assert seen == list(range(len(evaluator.proven.tensors)))


def test_convolution__padded_far_beyond_the_image__needs_no_memory_for_padding() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (1, 1, 1, 2))
    weights = builder.constant(DType.INT8, [[[[3, 5], [7, 11]]]])
    y = builder.node(
        "conv2d",
        x,
        weights,
        strides=(1 << 16, 1 << 16),
        pads=(1 << 16,) * 4,
        dilations=(1 << 16, 1 << 16),
        groups=1,
        accumulator=DType.INT32,
    )
    builder.output("y", y)

    run = ReferenceEvaluator(builder.model()).run({"x": [[[[1, 2]]]]})

    # Windows begin at -65536 and 0; the image is at the last place of the first of them, at the first of the last.
    assert run.outputs["y"].tolist() == [[[[11, 7], [5, 3]]]]


def test_sample__with_every_weight_on_one_place__chooses_it_for_every_seed() -> None:
    builder = GraphBuilder()
    weights = builder.input("weights", DType.INT16, (3, 4), 0, 100)
    seed = builder.input("seed", DType.INT64, (1,))
    builder.output("chosen", builder.node("sample", weights, seed))
    evaluator = ReferenceEvaluator(builder.model())

    for number in (0, 1, -1, DType.INT64.lo, DType.INT64.hi):
        run = evaluator.run({"weights": [[0, 0, 7, 0], [1, 0, 0, 0], [0, 0, 0, 0]], "seed": [number]})
        assert run.outputs["chosen"].tolist() == [[2], [0], [0]]


def test_sample__many_seeds__follows_the_weights() -> None:
    builder = GraphBuilder()
    weights = builder.input("weights", DType.INT16, (1, 3), 0, 100)
    seed = builder.input("seed", DType.INT64, (1,))
    builder.output("chosen", builder.node("sample", weights, seed))
    evaluator = ReferenceEvaluator(builder.model())

    chosen = [
        int(evaluator.run({"weights": [[10, 0, 30]], "seed": [number]}).outputs["chosen"][0, 0])
        for number in range(400)
    ]

    # 100 of 400 are expected at the first place; the seeds are fixed, so this never fails by chance.
    assert 80 <= chosen.count(0) <= 120
    assert chosen.count(1) == 0


def floats_in(path: Path) -> list[str]:
    """What in a source file makes or may make a float: literals, true division, numpy's functions that return one."""
    rounding = {"average", "divide", "exp", "linspace", "log", "mean", "sqrt", "std", "true_divide", "var"}
    found = []
    for part in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = getattr(part, "attr", None), getattr(part, "id", None)
        if (
            (isinstance(part, ast.Constant) and isinstance(part.value, float))
            or (isinstance(part, ast.BinOp | ast.AugAssign) and isinstance(part.op, ast.Div))
            or any(name and (name.startswith("float") or name in rounding) for name in names)
        ):
            found.append(f"{path.name}:{getattr(part, 'lineno', 0)}")
    return found


def test_sources__of_graph_and_evaluator__make_no_float(checkout: Path) -> None:
    sources = [
        path for part in ("engine", "graph", "reference") for path in (checkout / "metis" / "ai" / part).rglob("*.py")
    ]
    assert len(sources) > 10
    assert not [place for path in sources for place in floats_in(path)]


def test_command_line__imported_whole__does_not_import_the_models() -> None:
    program = "import sys, metis.node, metis.rpc, metis.cli; print({'numpy', 'metis.ai'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert printed.stdout == "set()\n"
