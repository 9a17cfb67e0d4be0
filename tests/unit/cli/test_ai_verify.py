"""``metis ai verify`` and ``metis ai open``: one JSON object, and an exit code that says no."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import orjson
import pytest

from metis.ai.file import save
from metis.ai.verify import verify, write_receipt_file
from metis.cli import main
from tests.unit.ai.receipt_samples import DOMAIN, model_file, receipt_file, signed_again

CONTRACT = "0x" + DOMAIN.contract.hex()


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A receipt's file and its model's."""
    save(model_file(), tmp_path / "model.metis")
    write_receipt_file(receipt_file(), tmp_path / "receipt.json")
    return str(tmp_path / "receipt.json"), str(tmp_path / "model.metis")


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["ai", "verify", *arguments, "--json"])
    found: dict[str, Any] = orjson.loads(capsys.readouterr().out)
    return code, found


def test_verify__an_honest_receipt__is_valid(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    receipt, model = files
    place = ["--chain-id", str(DOMAIN.chain_id), "--contract", CONTRACT]
    code, found = asked(capsys, receipt, "--model", model, *place, "--nonce", "4")
    assert code == 0
    assert (found["valid"], found["reason"], found["operator"]) == (True, None, None)
    code, found = asked(capsys, receipt, "--signatures-only")
    assert (code, found["checked"]) == (0, "signatures")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--chain-id", "1", "--contract", CONTRACT], "chain"),
        (["--chain-id", str(DOMAIN.chain_id), "--contract", "0x" + "11" * 20], "contract"),
        (["--worker", "0x" + "22" * 20], "worker"),
        (["--payer", "0x" + "22" * 20], "payer"),
        (["--nonce", "5"], "nonce"),
    ],
)
def test_verify__another_than_expected__is_not_valid_and_says_why(
    options: list[str], reason: str, files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = asked(capsys, files[0], "--model", files[1], *options)
    assert code == 1
    assert (found["valid"], found["reason"]) == (False, reason)


def test_verify__what_is_no_receipt__is_not_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").write_text("{}")
    code, found = asked(capsys, str(tmp_path / "none"), "--signatures-only")
    assert (code, found["valid"], found["reason"]) == (1, False, "receipt")


def test_open__one_operator__is_checked_alone_and_a_wrong_one_is_named(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt, model = files
    assert main(["ai", "open", receipt, "--model", model, "--out", str(tmp_path / "x")]) == 0
    last = capsys.readouterr().out.splitlines()[-1].split()
    one = str(tmp_path / "one.json")
    assert main(["ai", "open", receipt, "--model", model, "--out", one, "--run", "1", "--point", last[0]]) == 0
    code, found = asked(capsys, one, "--model", model)
    assert code == 0
    assert (found["operator"]["run"], found["operator"]["point"]) == (1, int(last[0]))
    assert [name for _, name in found["operator"]["nodes"]] == last[1:]


def test_verify__for_people__shows_the_operator(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = receipt_file()
    lie = dataclasses.replace(signed_again(file, outputs=bytes(32)), traces=())
    assert not verify(lie, model_file()).valid
    write_receipt_file(lie, tmp_path / "lie.json")
    assert main(["ai", "verify", str(tmp_path / "lie.json"), "--model", files[1]]) == 1
    assert "NOT VALID" in capsys.readouterr().out
