"""``metis vm statetest``: the shape of its results, its exit codes, what it refuses."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.running import run_here
from tests.unit.vm.small_tests import ZERO_HASH, encoded, filled, signed, transfer_test


def _folder(tmp_path: Path, documents: dict[str, Any]) -> Path:
    for name, document in documents.items():
        (tmp_path / name).write_bytes(encoded(document))
    return tmp_path


def _wrong(test: dict[str, Any], count: int = 1) -> dict[str, Any]:
    test = copy.deepcopy(test)
    for cases in test["post"].values():
        cases[0]["hash"] = ZERO_HASH
        cases *= count
    return test


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    return filled(signed(transfer_test()))


def test_statetest__all_pass__exit_0_and_the_object_of_the_contract(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _folder(tmp_path, {"a.json": {"good": good}, "b.json": {"good": good}})
    ended = run_here(capsys, "vm", "statetest", str(folder), "--json")
    assert ended.exit_code == 0
    assert ended.object == {
        "total": 2,
        "passed": 2,
        "failed": 0,
        "skipped": 0,
        "by_fork": {"Cancun": {"total": 2, "passed": 2, "failed": 0, "skipped": 0}},
        "failures": [],
    }


def test_statetest__a_difference__exit_1_with_what_was_expected_and_got(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _folder(tmp_path, {"a.json": {"wrong": _wrong(good), "good": good}})
    ended = run_here(capsys, "vm", "statetest", str(folder), "--json")
    assert ended.exit_code == 1
    assert (ended.object["total"], ended.object["passed"], ended.object["failed"]) == (2, 1, 1)
    (failure,) = ended.object["failures"]
    assert failure["id"] == f"{folder / 'a.json'}::wrong::Cancun::0_0_0"
    assert failure["kind"] == "state-root"
    assert failure["expected"]["state_root"] == ZERO_HASH
    assert failure["got"]["state_root"] == good["post"]["Cancun"][0]["hash"]
    assert failure["reason"]


def test_statetest__a_difference__told_to_people_with_the_command_that_shows_it(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = _folder(tmp_path, {"a.json": {"wrong": _wrong(good)}}) / "a.json"
    ended = run_here(capsys, "vm", "statetest", str(path))
    assert ended.exit_code == 1
    assert f"see it run: metis vm run {path} --test wrong --fork Cancun --index 0" in ended.out
    assert f"state root: expected {ZERO_HASH}, got {good['post']['Cancun'][0]['hash']}" in ended.out
    assert "FAILED: 0 of 1 cases" in ended.out


def test_statetest__many_differences__first_20_of_all_counted(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _folder(tmp_path, {"a.json": {"wrong": _wrong(good, count=25)}})
    ended = run_here(capsys, "vm", "statetest", str(folder), "--json")
    assert ended.object["failed"] == 25
    assert len(ended.object["failures"]) == 20


def test_statetest__table__one_row_per_fork_and_a_verdict(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _folder(tmp_path, {"a.json": {"good": good, "future": transfer_test(fork="Amsterdam")}})
    ended = run_here(capsys, "vm", "statetest", str(folder))
    assert ended.exit_code == 0
    rows = [line.split() for line in ended.out.splitlines()[:4]]
    assert rows == [
        ["fork", "cases", "passed", "failed", "skipped"],
        ["Cancun", "1", "1", "0", "0"],
        ["Amsterdam", "1", "0", "0", "1"],
        ["total", "2", "1", "0", "1"],
    ]
    assert "passed: 1 of 2 cases" in ended.out


def test_statetest__unknown_mode__says_so_and_runs_nothing(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _folder(tmp_path, {"a.json": {"good": good}})
    plain = run_here(capsys, "vm", "statetest", str(folder), "--mode", "quantum")
    assert (plain.exit_code, plain.out) == (2, "")
    assert "no such mode" in plain.err
    as_json = run_here(capsys, "vm", "statetest", str(folder), "--mode", "quantum", "--json")
    assert as_json.exit_code == 2
    assert as_json.object["error"]["slug"] == "composition"
    assert as_json.object["error"]["name"] == "quantum"


def test_statetest__path_that_is_not_there__error_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent = str(tmp_path / "absent")
    ended = run_here(capsys, "vm", "statetest", absent, "--json")
    assert ended.exit_code == 2
    assert ended.object["error"] == {
        "slug": "fixture",
        "message": f"{absent}: no such file or folder",
        "path": absent,
        "test": "",
        "problem": "no such file or folder",
    }


def test_statetest__nothing_to_run__is_no_success(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(capsys, "vm", "statetest", str(tmp_path)).exit_code == 2
    folder = _folder(tmp_path, {"a.json": {"good": good}})
    ended = run_here(capsys, "vm", "statetest", str(folder), "--fork", "Osaka")
    assert ended.exit_code == 2
    assert "no state tests found for fork Osaka" in ended.err


def test_statetest__broken_file_among_good_ones__one_failure(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _folder(tmp_path, {"a.json": {"good": good}, "b.json": []})
    ended = run_here(capsys, "vm", "statetest", str(folder), "--json")
    assert ended.exit_code == 1
    assert ended.object["by_fork"]["unreadable"]["failed"] == 1
    assert ended.object["failures"][0]["id"] == str(folder / "b.json")
