"""Verification: what is true passes, every lie is found, and a falsified operator is pinpointed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metis.ai import Evaluator, Model, ModelFile, validate_graph
from metis.ai.graph import Weights
from metis.ai.receipt import traces_root
from metis.ai.trace import Trace, points_of, step_of
from metis.ai.verify import (
    OperatorCheck,
    ReceiptFile,
    open_operator,
    read_receipt_file,
    verify,
    write_receipt_file,
)
from metis.ai.verify.document import receipt_file_of
from metis.engine import keccak256
from metis.types import Hash32, InvalidReceipt
from tests.unit.ai.receipt_samples import MODEL, each_bit, model_file, receipt_file, signed_again
from tests.unit.ai.small_models import counter, layers

POINTS = points_of(validate_graph(MODEL.graph))
COMPUTED = [point for point in POINTS if step_of(MODEL.graph, POINTS, point).nodes]


def opened(point: int, run: int = 1) -> ReceiptFile:
    return open_operator(MODEL, Evaluator(MODEL), receipt_file(), run, point)


def with_trace(file: ReceiptFile, run: int, index: int) -> ReceiptFile:
    """The same by a worker that falsified one operator of a run, and all that follows from it."""
    trace = list(file.traces[run])
    for place in range(index, len(trace)):
        trace[place] = Hash32(keccak256(b"falsified" + trace[place]))
    traces = tuple(tuple(trace) if number == run else own for number, own in enumerate(file.traces))
    roots = [Trace(POINTS, own).root for own in traces]
    lie = {"trace": traces_root(roots), "outputs": Hash32(keccak256(b"another answer"))}
    return dataclasses.replace(signed_again(file, **lie), traces=traces)


def test_verify__an_honest_receipt__is_valid() -> None:
    verdict = verify(receipt_file(), model_file())
    assert (verdict.valid, verdict.reason, verdict.checked) == (True, None, "execution")
    assert verdict.unproven == ("correctness", "time", "text", "privacy")


def test_verify__states_from_run_to_run__are_part_of_the_task() -> None:
    model = counter()
    file = receipt_file(model, [{"x": np.array([[1, 2]], np.int8)}] * 3)
    assert verify(file, model_file(model)).valid
    assert len({trace[1] for trace in file.traces}) == 3


@pytest.mark.parametrize("run", [0, 1])
@pytest.mark.parametrize("point", COMPUTED)
def test_verify__a_falsified_operator__is_pinpointed(run: int, point: int) -> None:
    verdict = verify(with_trace(receipt_file(), run, POINTS.index(point)), model_file())
    assert (verdict.valid, verdict.reason) == (False, "operator")
    assert verdict.operator is not None
    assert (verdict.operator["run"], verdict.operator["point"]) == (run, point)
    assert verdict.operator["operator"] == MODEL.graph.nodes[verdict.operator["node"]].operator


def test_verify__a_falsified_input_of_a_run__is_named() -> None:
    verdict = verify(with_trace(receipt_file(), 1, 0), model_file())
    assert verdict.operator is not None
    assert (verdict.reason, verdict.operator["operator"], verdict.operator["name"]) == ("operator", "input", "x")


def test_verify__any_bit_of_an_input__is_rejected() -> None:
    file = receipt_file()
    for changed in each_bit(file.inputs[1]["x"]):
        verdict = verify(dataclasses.replace(file, inputs=(file.inputs[0], {"x": changed})), model_file())
        assert (verdict.valid, verdict.reason) == (False, "inputs")


def test_verify__any_bit_of_an_output__is_rejected() -> None:
    file = receipt_file()
    for changed in each_bit(file.outputs[0]["y"], step=5):
        verdict = verify(dataclasses.replace(file, outputs=({"y": changed}, file.outputs[1])), model_file())
        assert (verdict.valid, verdict.reason) == (False, "outputs")


def test_verify__lies_that_the_worker_has_signed__are_rejected_with_their_reason() -> None:
    file = receipt_file()
    receipt = file.receipt
    other = Hash32(keccak256(b"other"))
    lies: dict[str, dict[str, Any]] = {
        "inputs": {"inputs": other},
        "outputs": {"outputs": other},
        "trace": {"trace": other},
        "cost": {"units": receipt.units + 1, "cost_wei": receipt.cost_wei + receipt.price_wei},
    }
    for reason, lie in lies.items():
        verdict = verify(signed_again(file, **lie), model_file())
        assert (verdict.valid, verdict.reason) == (False, reason)
    fewer = dataclasses.replace(file, traces=())
    assert verify(signed_again(fewer, trace=other, outputs=other), model_file()).reason == "outputs"


def test_verify__another_model_or_no_evidence__is_rejected() -> None:
    file = receipt_file()
    assert verify(file, model_file(layers(4))).reason == "model"
    assert verify(file, None).reason == "model"
    for weights in each_bit(MODEL.weights.raw, step=301):
        changed = ModelFile.of(Model(MODEL.graph, Weights(weights)))
        assert verify(file, changed).reason == "model"
    alone = ReceiptFile(file.receipt)
    assert verify(alone, model_file()).reason == "evidence"
    assert verify(alone, None, signatures_only=True).valid


@pytest.mark.parametrize("point", COMPUTED)
def test_verify__one_opened_operator__is_checked_without_the_inputs(point: int) -> None:
    file = opened(point)
    assert not file.inputs
    verdict = verify(file, model_file())
    assert (verdict.valid, verdict.checked) == (True, "operator")
    assert verdict.operator is not None
    assert verdict.operator["point"] == point


@pytest.mark.parametrize("point", COMPUTED)
def test_verify__any_bit_of_an_operand_or_product__is_rejected(point: int) -> None:
    file = opened(point)
    opening = file.opening
    assert opening is not None
    for number, (raw, path) in opening.operands.items():
        for changed in each_bit(raw, step=11):
            operands = {**opening.operands, number: (changed, path)}
            wrong = dataclasses.replace(file, opening=dataclasses.replace(opening, operands=operands))
            assert verify(wrong, model_file()).reason == "opening"
    check = OperatorCheck(MODEL, point)
    elements = {number: raw for number, (raw, _) in opening.operands.items()}
    for number, raw in opening.products.items():
        for changed in each_bit(raw, step=3):
            with pytest.raises(InvalidReceipt):
                check.result(elements, {**opening.products, number: changed})


def test_verify__an_operator_that_the_worker_got_wrong__is_rejected_by_its_opening() -> None:
    point = COMPUTED[0]
    index = POINTS.index(point)
    lie = with_trace(receipt_file(), 1, index)
    file = open_operator(MODEL, Evaluator(MODEL), lie, 1, point)
    verdict = verify(file, model_file())
    assert (verdict.valid, verdict.reason) == (False, "operator")
    assert verdict.operator is not None
    assert verdict.operator["point"] == point


def test_verify__an_opening_of_another_place_or_task__is_rejected() -> None:
    first, last = opened(COMPUTED[0]), opened(COMPUTED[-1])
    assert first.opening is not None
    assert last.opening is not None
    moved = dataclasses.replace(last.opening, point=first.opening.point)
    for wrong in (
        dataclasses.replace(first, opening=moved),
        dataclasses.replace(first, opening=dataclasses.replace(first.opening, run=0)),
        dataclasses.replace(first, opening=dataclasses.replace(first.opening, path=first.opening.path[:-1])),
    ):
        verdict = verify(wrong, model_file())
        assert (verdict.valid, verdict.reason) == (False, "opening")
    point = dataclasses.replace(first.opening, point=10_000)
    assert verify(dataclasses.replace(first, opening=point), model_file()).reason == "opening"


def test_receipt_file__written_and_read__is_the_same(tmp_path: Path) -> None:
    for file in (receipt_file(), opened(COMPUTED[0])):
        write_receipt_file(file, tmp_path / "receipt.json")
        assert read_receipt_file(tmp_path / "receipt.json") == file


def test_receipt_file__receipt_alone__is_read_as_bytes_and_as_hexadecimal(tmp_path: Path) -> None:
    document = receipt_file().as_object()
    text = str(document["receipt"])
    (tmp_path / "hex").write_text(text)
    (tmp_path / "raw").write_bytes(bytes.fromhex(text[2:]))
    assert read_receipt_file(tmp_path / "hex") == read_receipt_file(tmp_path / "raw")


@pytest.mark.parametrize(
    "damage",
    [
        {"receipt": 5},
        {"receipt": "0x00"},
        {"inputs": [["x"]]},
        {"inputs": [{"x": "!"}]},
        {"outputs": {"x": 1}},
        {"traces": [["AAAA"]]},
        {"opening": {}},
        {"opening": []},
    ],
)
def test_receipt_file__anything_else__is_refused_with_its_field(damage: dict[str, object]) -> None:
    with pytest.raises(InvalidReceipt) as raised:
        receipt_file_of(json.loads(json.dumps({**receipt_file().as_object(), **damage})))
    assert raised.value.field in {*damage, "length"}
