"""The engine's evaluator: weights in files, what it refuses, states, observed runs, threads."""

from __future__ import annotations

import concurrent.futures
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metis.ai import Evaluator, Limits, ReferenceEvaluator, encode_graph
from metis.ai.graph import DType, GraphBuilder, Model, Weights
from metis.engine import InferenceModel, inference_kernels
from metis.types import DecodeError, InvalidGraph, InvalidInput, InvalidWeights
from tests.unit.ai.small_models import counter

X = {"x": np.array([[5, 6]], np.int8)}


def file_of(folder: Path, model: Model, before: int = 64) -> Path:
    path = folder / "weights"
    path.write_bytes(bytes(before) + model.weights.raw + b"after")
    return path


def test_evaluator__weights_in_a_file__equals_weights_in_memory(tmp_path: Path) -> None:
    model = counter()
    opened = Evaluator.open(model.graph, file_of(tmp_path, model), 64, len(model.weights.raw))

    assert opened.run(X).output_hash == Evaluator(model).run(X).output_hash


@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_evaluator__file_harmed_after_it_was_opened__gives_the_same_bits(tmp_path: Path, harm: str) -> None:
    model = counter()
    path = file_of(tmp_path, model)
    opened = Evaluator.open(model.graph, path, 64, len(model.weights.raw))

    if harm == "cut":
        os.truncate(path, 0)
    else:
        with path.open("r+b") as file:
            file.write(bytes([1]) * path.stat().st_size)

    assert opened.run(X).output_hash == Evaluator(model).run(X).output_hash


@pytest.mark.parametrize(
    ("before", "offset", "length", "field"),
    [(64, 64, 63, "length"), (64, 64, 1 << 20, "length"), (64, 1 << 40, 64, "length")],
)
def test_evaluator__wrong_part_of_a_file__is_refused(
    tmp_path: Path, before: int, offset: int, length: int, field: str
) -> None:
    model = counter()

    with pytest.raises(InvalidWeights) as caught:
        Evaluator.open(model.graph, file_of(tmp_path, model, before), offset, length)
    assert caught.value.field == field


def test_evaluator__file_that_is_missing__says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Evaluator.open(counter().graph, tmp_path / "none", 0, 64)


@pytest.mark.parametrize(("place", "value", "field"), [(3, 127, "constants[0]"), (63, 1, "padding")])
def test_evaluator__weights_outside_what_is_declared__are_refused(place: int, value: int, field: str) -> None:
    model = counter()
    raw = bytearray(model.weights.raw)
    raw[place] = value

    for evaluator in (Evaluator, ReferenceEvaluator):
        with pytest.raises(InvalidWeights) as caught:
            evaluator(Model(model.graph, Weights(bytes(raw))))
        assert caught.value.field == field


@pytest.mark.parametrize("limits", [Limits(macs=1), Limits(memory_bytes=1), Limits(weights_bytes=1)])
def test_evaluator__above_a_limit__is_refused_before_it_takes_memory(limits: Limits) -> None:
    with pytest.raises(InvalidGraph):
        Evaluator(counter(), limits)


def test_evaluator__model_of_much_memory__is_refused_before_it_takes_memory() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (1,))
    for number in range(3):
        builder.output(f"y{number}", builder.node("broadcast", x, shape=(1 << 4, 1 << (24 - number))))

    with pytest.raises(InvalidGraph, match="memory_bytes"):
        Evaluator(builder.model(), Limits(memory_bytes=1 << 20))


@pytest.mark.parametrize(
    "inputs",
    [{}, {**X, "z": X["x"]}, {"x": [[5, 101]]}, {"x": [[5.0, 6.0]]}, {"x": [5, 6]}],
    ids=["missing", "unknown", "range", "floats", "shape"],
)
def test_run__input_that_is_not_declared__is_refused(inputs: dict[str, Any]) -> None:
    evaluators: list[Evaluator | ReferenceEvaluator] = [Evaluator(counter()), ReferenceEvaluator(counter())]
    for evaluator in evaluators:
        with pytest.raises(InvalidInput):
            evaluator.run(inputs)


def test_handle__bytes_that_are_no_input__are_refused() -> None:
    handle = InferenceModel.from_bytes(encode_graph(counter().graph), counter().weights.raw)
    for given in (b"\x05", b"\x05\x7f"):
        with pytest.raises(InvalidInput, match="'x'"):
            handle.run([given, None])
    with pytest.raises(DecodeError):
        handle.run([b"\x05\x06"])


@pytest.mark.parametrize(("threads", "kernel"), [(0, None), (65, None), (1, "abacus")])
def test_run__threads_or_kernel_that_are_not_there__is_refused(threads: int, kernel: str | None) -> None:
    with pytest.raises(DecodeError):
        Evaluator(counter(), threads=threads, kernel=kernel).run(X)


@pytest.mark.parametrize("kernel", inference_kernels())
def test_run__with_the_states_of_the_run_before__goes_on(kernel: str) -> None:
    evaluators: list[Evaluator | ReferenceEvaluator] = [
        Evaluator(counter(), kernel=kernel),
        ReferenceEvaluator(counter()),
    ]
    states: list[Any] = [None, None]
    for _ in range(3):
        runs = [evaluator.run(X, state) for evaluator, state in zip(evaluators, states, strict=True)]
        states = [run.states for run in runs]
        assert runs[0].output_hash == runs[1].output_hash
        assert np.array_equal(states[0]["total"], states[1]["total"])


def test_run__observed__tells_each_result_in_order() -> None:
    seen: dict[int, list[Any]] = {}
    run = Evaluator(counter()).run(X, observe=lambda number, value: seen.update({number: value.tolist()}))

    assert list(seen) == [3, 4, 5]
    assert seen[3] == run.outputs["y"].tolist() == [[-9, 61]]


def test_run__observer_raises__raises_it() -> None:
    def fail(number: int, value: object) -> None:
        raise KeyError(number, value)

    with pytest.raises(KeyError):
        Evaluator(counter()).run(X, observe=fail)


def test_run__from_many_threads_at_once__gives_one_result() -> None:
    evaluator = Evaluator(counter(), threads=2)
    expected = evaluator.run(X).output_hash

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = {run.output_hash for run in pool.map(lambda _: evaluator.run(X), range(200))}
    assert found == {expected}
