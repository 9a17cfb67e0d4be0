"""``metis executor explain``: of a recorded block of Ethereum, as docs/mpef.md prints it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.running import run_here

RECORDED = "mainnet-blocks/18920116.json.xz"
PRINTED = "$ metis executor explain 18920116.json.xz --fork Shanghai --workers 1\n"


def explained(capsys: pytest.CaptureFixture[str], path: Path, workers: int) -> dict[str, Any]:
    command = ("executor", "explain", str(path), "--fork", "Shanghai", "--workers", str(workers), "--json")
    ended = run_here(capsys, *command)
    assert ended.exit_code == 0
    assert isinstance(ended.object, dict)
    return ended.object


def test_explain__mainnet_block__is_consistent(
    capsys: pytest.CaptureFixture[str], fixture_file: Callable[[str], Path]
) -> None:
    found = explained(capsys, fixture_file(RECORDED), 1)
    assert found["transactions"] == 146
    edges = {(row["transaction"], row["on"]) for row in found["dependencies"]}
    assert all(on < transaction for transaction, on in edges)
    chain = found["chain"]
    assert len(chain) > 2
    assert all((after, before) in edges for before, after in pairwise(chain))
    assert found["dependent"] == len({transaction for transaction, _ in edges})
    assert found["speedup_max"] == pytest.approx(found["gas_used"] / found["chain_gas"])
    assert sum(len(one["transactions"]) for one in found["obstacles"]) == len(found["dependencies"])
    assert (found["reruns"], found["conflicts"]) == (0, [])
    assert found["advice"]


def test_explain__mainnet_block_on_many_workers__differs_in_conflicts_alone(
    capsys: pytest.CaptureFixture[str], fixture_file: Callable[[str], Path]
) -> None:
    alone, together = (explained(capsys, fixture_file(RECORDED), workers) for workers in (1, 8))
    for found in (alone, together):
        del found["reruns"], found["conflicts"]
        for obstacle in found["obstacles"]:
            del obstacle["conflicts"]
    assert alone == together


def test_explain__mainnet_block__is_printed_as_in_the_document(
    capsys: pytest.CaptureFixture[str], fixture_file: Callable[[str], Path], checkout: Path
) -> None:
    path = str(fixture_file(RECORDED))
    ended = run_here(capsys, "executor", "explain", path, "--fork", "Shanghai", "--workers", "1")
    text = (checkout / "docs" / "mpef.md").read_text(encoding="utf-8")
    assert text.split(PRINTED, 1)[1].split("```", 1)[0] == ended.out


def test_explain__recorded_block_without_rules__is_an_error(
    capsys: pytest.CaptureFixture[str], fixture_file: Callable[[str], Path]
) -> None:
    ended = run_here(capsys, "executor", "explain", str(fixture_file(RECORDED)))
    assert ended.exit_code == 2
    assert "--fork" in ended.err


def test_explain__nobody_listens__is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "executor", "explain", "1", "--rpc", "http://127.0.0.1:1")
    assert (ended.exit_code, ended.out) == (2, "")
    assert "http://127.0.0.1:1" in ended.err
