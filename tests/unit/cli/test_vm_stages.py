"""``metis vm disasm | blocks | ir | asm | report | bench``: what they show, and that they say no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.running import run_here
from tests.unit.vm.small_tests import encoded, filled, signed, transfer_test

LOOP = "600a5b600190038060025700"
TOO_LARGE = "5f355150" * 6000


@pytest.fixture
def fixture_file(tmp_path: Path) -> Path:
    test: dict[str, Any] = transfer_test()
    path = tmp_path / "transfer.json"
    path.write_bytes(encoded({"transfer": filled(signed(test))}))
    return path


def test_disasm__data_and_unknown_opcodes__are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "vm", "disasm", "0x61005b5b0c")
    assert ended.exit_code == 0
    assert [line.split() for line in ended.out.splitlines()] == [
        ["0", "PUSH2", "0x5b"],
        ["3", "JUMPDEST"],
        ["4", "0x0c"],
    ]


def test_blocks__a_loop__checks_gas_at_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "vm", "blocks", LOOP)
    assert ended.exit_code == 0
    (head,) = [line for line in ended.out.splitlines() if line.split()[0].startswith("2..")]
    assert "checks" in head
    assert "to 2, 11" in head


def test_ir_and_asm__a_loop__have_the_region(capsys: pytest.CaptureFixture[str]) -> None:
    assert "define dso_local i32 @region_0" in run_here(capsys, "vm", "ir", LOOP).out
    assert "define dso_local" in run_here(capsys, "vm", "ir", LOOP, "--optimised").out
    assert "region_0:" in run_here(capsys, "vm", "asm", LOOP).out


@pytest.mark.parametrize(
    ("command", "key"), [("disasm", "instructions"), ("blocks", "regions"), ("ir", "ir"), ("asm", "asm")]
)
def test_stages__json__is_one_object(command: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "vm", command, LOOP, "--json")
    assert ended.exit_code == 0
    assert list(ended.object) == [key]
    assert ended.object[key]


def test_blocks__code_that_is_refused__exit_1_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "vm", "blocks", TOO_LARGE)
    assert ended.exit_code == 1
    assert ended.err.startswith("not compiled: ")


def test_stages__no_hex__exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(capsys, "vm", "disasm", "xyz").exit_code == 2


def test_report__a_file__is_one_object_with_a_row_per_code(
    fixture_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run_here(capsys, "vm", "report", str(fixture_file), "--json", "--level", "0")
    assert ended.exit_code == 0
    assert isinstance(ended.object["rows"], list)


def test_bench__a_file__gives_the_object_of_the_contract(
    fixture_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run_here(capsys, "vm", "bench", str(fixture_file), "--json", "--rounds", "1")
    assert ended.exit_code == 0
    assert {"machine", "commit", "rows", "geomean_ratio"} <= set(ended.object)
    (row,) = ended.object["rows"]
    assert {"name", "gas", "revm_ms", "tier0_ms", "tier1_ms", "ratio", "compile_ms", "class"} <= set(row)
    assert row["gas"] > 21_000
    assert row["ratio"] == pytest.approx(row["revm_ms"] / row["tier1_ms"])
    assert row["class"] in ("compute", "loop", "storage", "call")


def test_statetest__mode_eager__passes_and_reports_what_was_compiled(
    fixture_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run_here(capsys, "vm", "statetest", str(fixture_file), "--mode", "eager", "--json")
    assert ended.exit_code == 0
    assert ended.object["passed"] == 1
    assert {"codes", "refusals", "frames_compiled", "deoptimisations"} <= set(ended.object["compiled"])
