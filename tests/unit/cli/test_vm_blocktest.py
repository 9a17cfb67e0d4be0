"""``metis vm blocktest``: the shape of its results, its exit codes, what it refuses."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.running import run_here
from tests.unit.vm.small_chains import chain_test
from tests.unit.vm.small_tests import ZERO_HASH, encoded


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    return chain_test()


def test_blocktest__all_pass__exit_0_and_the_object_of_the_contract(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_bytes(encoded({"good": good, "later": good | {"network": "Amsterdam"}}))
    ended = run_here(capsys, "vm", "blocktest", str(tmp_path), "--json")
    assert ended.exit_code == 0
    assert ended.object == {
        "total": 2,
        "passed": 1,
        "failed": 0,
        "skipped": 1,
        "by_fork": {
            "Cancun": {"total": 1, "passed": 1, "failed": 0, "skipped": 0},
            "Amsterdam": {"total": 1, "passed": 0, "failed": 0, "skipped": 1},
        },
        "failures": [],
    }


def test_blocktest__a_difference__exit_1_with_what_was_expected_and_got(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = copy.deepcopy(good)
    wrong["genesisBlockHeader"]["hash"] = ZERO_HASH
    (tmp_path / "a.json").write_bytes(encoded({"wrong": wrong, "good": good}))
    ended = run_here(capsys, "vm", "blocktest", str(tmp_path), "--store", "memory")
    assert ended.exit_code == 1
    assert f"expected {ZERO_HASH}, got {good['genesisBlockHeader']['hash']}" in ended.out
    assert "FAILED: 1 of 2 cases" in ended.out


def test_blocktest__nothing_to_run__exit_2_not_a_pass(
    tmp_path: Path, good: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_bytes(encoded({"good": good}))
    ended = run_here(capsys, "vm", "blocktest", str(tmp_path), "--network", "Osaka")
    assert ended.exit_code == 2
    assert "no blockchain tests found for network Osaka" in ended.err
