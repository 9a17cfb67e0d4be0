"""``metis executor`` and ``metis bench executor``: what they print, and what they refuse."""

from __future__ import annotations

import pytest

from tests.unit.cli.running import run_here


def test_fuzz__a_few_blocks__gives_the_object_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "executor", "fuzz", "--seed", "7", "--blocks", "5", "--json")
    assert ended.exit_code == 0
    assert ended.object == {"blocks": 5, "mismatches": 0, "seed": 7, "first": []}


def test_bench__one_kind__gives_the_row_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    command = ("bench", "executor", "--only", "transfers", "--scale", "1000", "--rounds", "1", "--workers", "1,2")
    ended = run_here(capsys, *command, "--json")
    assert ended.exit_code == 0
    (row,) = ended.object["rows"]
    assert (row["name"], row["txs"], row["gas"]) == ("raw transfers", 47, 47 * 21_000)
    assert row["parallel_ms"].keys() == {"1", "2"}
    assert row["ratio"].keys() == {"1", "2", "sequential", "processes"}
    assert row["revm_ms"] > 0 < row["sequential_ms"]


def test_bench__workers_that_are_no_numbers__are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(capsys, "bench", "executor", "--workers", "two").exit_code == 2
