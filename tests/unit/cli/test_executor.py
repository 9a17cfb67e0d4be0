"""``metis executor`` and ``metis bench executor``: what they print, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from metis.engine import CodeRegistry
from metis.vm import fixture_files, read_fixture
from tests.unit.cli.running import run_here


def test_fuzz__a_few_blocks__gives_the_object_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "executor", "fuzz", "--seed", "7", "--blocks", "5", "--json")
    assert ended.exit_code == 0
    assert ended.object == {"blocks": 5, "mismatches": 0, "seed": 7, "first": []}


def test_fuzz__four_hundred_blocks__compiles_what_it_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metis.cli.executor_fuzz.CHUNK_BLOCK_COUNT", 4)
    registries: list[CodeRegistry] = []

    def registry(mode: str) -> CodeRegistry:
        registries.append(CodeRegistry(mode))
        return registries[-1]

    monkeypatch.setattr("metis.cli.executor_fuzz.CodeRegistry", registry)
    ended = run_here(capsys, "executor", "fuzz", "--seed", "3", "--blocks", "16", "--json")
    assert (ended.exit_code, ended.object["mismatches"]) == (0, 0)
    (used,) = registries
    assert sum(row["frames_compiled"] for row in used.report()) > 100


def test_fuzz__state_tests__shuffles_them_into_blocks(
    capsys: pytest.CaptureFixture[str], fixture_file: Callable[[str], Path], tmp_path: Path
) -> None:
    archive = fixture_file("ethereum-general-state-tests.tar.xz")
    for number, file in enumerate(islice(fixture_files([archive]), 40)):
        (tmp_path / f"{number}.json").write_bytes(read_fixture(file))
    command = ("executor", "fuzz", "--seed", "2", "--blocks", "2", "--state-tests", str(tmp_path), "--json")
    ended = run_here(capsys, *command)
    assert ended.exit_code == 0
    found = ended.object
    counts = found.pop("transactions")
    assert found == {"blocks": 2, "mismatches": 0, "seed": 2, "first": []}
    assert counts.keys() == {"included", "failed", "skipped", "dropped", "gas_used"}
    assert counts["included"] > counts["failed"] + counts["skipped"] + counts["dropped"]


def test_fuzz__no_state_tests_there__is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ended = run_here(capsys, "executor", "fuzz", "--state-tests", str(tmp_path))
    assert (ended.exit_code, ended.out) == (2, "")
    assert "no state tests found" in ended.err


def test_bench__one_kind__gives_the_row_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    command = ("bench", "executor", "--only", "transfers", "--scale", "1000", "--rounds", "1", "--workers", "1,2")
    ended = run_here(capsys, *command, "--json")
    assert ended.exit_code == 0
    row, on_metisdb = ended.object["rows"]
    assert (row["name"], row["txs"], row["gas"]) == ("raw transfers", 47, 47 * 21_000)
    assert (on_metisdb["name"], on_metisdb["gas"]) == ("raw transfers, MetisDB", row["gas"])
    assert row["parallel_ms"].keys() == {"1", "2"}
    assert row["ratio"].keys() == {"1", "2", "sequential", "processes"}
    assert row["revm_ms"] > 0 < row["sequential_ms"]


def test_bench__workers_that_are_no_numbers__are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(capsys, "bench", "executor", "--workers", "two").exit_code == 2
