"""``metis db``: what it tells of a store, and that torture finds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from metis.engine import check_database, write_database
from tests.unit.cli.running import run_here


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with 40 steps of a plan in it."""
    folder = tmp_path / "store"
    acknowledged: list[int] = []
    write_database(str(folder), 5, 0, 40, acknowledged.append)
    assert acknowledged == list(range(41))
    return folder


def test_verify__of_a_whole_store__finds_no_damage(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "db", "verify", str(store), "--json")
    assert ended.exit_code == 0
    assert ended.object["damage"] == []
    assert ended.object["newest"]["number"] >= ended.object["checkpoint"]["number"]


def test_verify__of_a_damaged_store__says_where(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = store / "codes"
    content = bytearray(file.read_bytes())
    content[14] ^= 1
    file.write_bytes(content)
    ended = run_here(capsys, "db", "verify", str(store), "--json")
    assert ended.exit_code == 1
    assert any("codes file is corrupt at byte" in damage for damage in ended.object["damage"])


def test_inspect__of_no_store__is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(capsys, "db", "inspect", str(tmp_path / "none"), "--json").exit_code == 2


def test_inspect__of_a_store__tells_its_files(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "db", "inspect", str(store), "--json")
    assert ended.exit_code == 0
    assert ended.object["state_bytes"] >= ended.object["used_bytes"] > 0
    assert check_database(str(store), 5, 40) == 40


def test_torture__one_round__gives_the_object_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "db", "torture", "--seed", "3", "--rounds", "1", "--json")
    assert ended.exit_code == 0
    assert ended.object.keys() == {"rounds", "images", "failures", "first"}
    assert (ended.object["rounds"], ended.object["failures"]) == (1, 0)
    assert ended.object["images"] > 100
