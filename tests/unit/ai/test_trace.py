"""Traces: what is committed to keeps steps small, and differences are found by bisection."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from metis.ai import Evaluator, GraphBuilder, ReferenceEvaluator, validate_graph
from metis.ai.graph.types import DType
from metis.ai.trace import (
    commitment_of,
    first_difference,
    observed_trace,
    path_of,
    points_of,
    root_by_path,
    step_of,
)
from metis.ai.trace.digest import levels_of
from metis.ai.trace.points import STEP_NODES_MAX
from metis.engine import keccak256
from metis.types import InvalidInput
from tests.unit.ai.small_models import counter, layers


def test_points__three_products_after_each_other__are_kept_apart_by_what_costs_least() -> None:
    proven = validate_graph(layers(3).graph)
    points = points_of(proven)
    steps = [step_of(proven.graph, points, point) for point in points]
    assert [len(step.products) for step in steps if step.products] == [2, 1]
    between = points[1]
    assert proven.tensors[between].dtype is DType.INT8


def test_points__a_long_chain__is_cut_into_steps_of_bounded_length() -> None:
    builder = GraphBuilder()
    value = builder.input("x", DType.INT8, (4,), -1, 1)
    one = builder.constant(DType.INT8, [1])
    for _ in range(3 * STEP_NODES_MAX):
        value = builder.node("add", value, one, dtype=DType.INT32)
    builder.output("y", value)
    graph = builder.model().graph
    points = points_of(validate_graph(graph))
    lengths = [len(step_of(graph, points, point).nodes) for point in points]
    assert max(lengths) == STEP_NODES_MAX
    assert sum(lengths) == 3 * STEP_NODES_MAX


def test_step_of__a_tensor_that_is_no_point__is_refused() -> None:
    graph = counter().graph
    with pytest.raises(InvalidInput, match="does not commit"):
        step_of(graph, points_of(validate_graph(graph)), 2)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_trace__states_and_tensors_of_many_chunks__equals_the_reference(threads: int) -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (300, 70), -100, 100)
    kept = builder.state("kept", DType.INT32, (300, 70), -(1 << 30), 1 << 30)
    y = builder.node("add", x, kept, dtype=DType.INT64)
    builder.update(kept, builder.node("clip", y, lo=-(1 << 30), hi=1 << 30, dtype=DType.INT32))
    builder.output("y", y)
    model = builder.model()
    inputs = {"x": np.random.default_rng(1).integers(-100, 100, (300, 70), np.int8)}
    evaluator, reference = Evaluator(model, threads=threads), ReferenceEvaluator(model)
    first = evaluator.run_traced(inputs)
    assert first.trace == observed_trace(reference, inputs).trace
    second = evaluator.run_traced(inputs, first.run.states)
    assert second.trace == observed_trace(reference, inputs, first.run.states).trace
    assert second.trace.root != first.trace.root


def test_trace__values_that_are_asked_for__are_those_that_it_commits_to() -> None:
    model = layers(2)
    inputs = {"x": np.arange(8, dtype=np.int8).reshape(2, 4)}
    traced = Evaluator(model).run_traced(inputs, wanted=points_of(validate_graph(model.graph)))
    commitments = dict(zip(traced.trace.points, traced.trace.commitments, strict=True))
    assert {number: commitment_of(value) for number, value in traced.values.items()} == commitments


def test_commitment_of__one_element_a_byte_of_type_or_shape__is_another() -> None:
    value = np.zeros((3, 4), np.int16)
    other = value.copy()
    other[2, 3] = 1
    views: list[npt.NDArray[np.generic]] = [
        value,
        other,
        value.reshape(4, 3),
        value.reshape(12),
        value.astype(np.int8),
        np.zeros((3, 2), np.int32),
    ]
    assert len({commitment_of(view) for view in views}) == len(views)


def test_commitment_of__known_tensor__is_what_the_document_says() -> None:
    value = np.arange(3000, dtype="<i2").reshape(3, 1000)
    raw = value.tobytes()
    top = keccak256(keccak256(raw[:4096]) + keccak256(raw[4096:]))
    head = b"metis/ai/tensor/v1\0" + bytes([2, 2]) + (3).to_bytes(4, "little") + (1000).to_bytes(4, "little")
    assert commitment_of(value) == keccak256(head + top)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_path__of_each_leaf__leads_to_the_root_and_no_other(count: int) -> None:
    leaves = [keccak256(bytes([place])) for place in range(count)]
    top = levels_of(leaves)[-1][0]
    root = keccak256(b"tag" + count.to_bytes(4, "little") + top)
    for index, leaf in enumerate(leaves):
        path = path_of(leaves, index)
        assert root_by_path(leaf, index, count, path, b"tag") == root
        assert root_by_path(keccak256(leaf), index, count, path, b"tag") != root
        assert root_by_path(leaf, (index + 1) % count, count, path, b"tag") != root or count == 1
        assert root_by_path(leaf, index, count, [*path, leaf], b"tag") is None
        assert root_by_path(leaf, count, count, path, b"tag") is None


def test_first_difference__any_leaves_changed__is_the_first_in_few_questions() -> None:
    leaves = [keccak256(bytes([place])) for place in range(100)]
    own = levels_of(leaves)
    random = np.random.default_rng(0)
    for _ in range(200):
        changed = sorted(random.choice(100, random.integers(1, 6), replace=False).tolist())
        claimed = levels_of([keccak256(leaf) if place in changed else leaf for place, leaf in enumerate(leaves)])
        asked: list[tuple[int, int]] = []

        def answer(
            level: int, place: int, claimed: list[list[bytes]] = claimed, asked: list[tuple[int, int]] = asked
        ) -> bytes:
            asked.append((level, place))
            return claimed[level][place]

        assert first_difference(100, own, answer) == changed[0]
        assert len(asked) <= 8
    assert first_difference(100, own, lambda level, place: own[level][place]) is None
