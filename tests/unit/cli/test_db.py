"""``metis db``: what it tells of a store, moves and frees, and that torture finds nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from metis.engine import MetisStore, check_database, write_database
from metis.types import Account
from tests.unit.cli.running import run_here, run_process


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
    assert ended.object["images"] > 50


def test_export_and_import__of_a_store__give_a_store_with_the_same_bytes(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    ended = run_here(capsys, "db", "export", str(store), str(first), "--json")
    assert (ended.exit_code, ended.object["bytes"]) == (0, first.stat().st_size)
    imported = run_here(capsys, "db", "import", str(first), str(tmp_path / "copy"), "--json")
    assert imported.exit_code == 0
    assert (imported.object["block"], imported.object["counts"]) == (ended.object["block"], ended.object["counts"])
    assert run_here(capsys, "db", "export", str(tmp_path / "copy"), str(second)).exit_code == 0
    assert second.read_bytes() == first.read_bytes()
    assert run_here(capsys, "db", "verify", str(tmp_path / "copy"), "--json").object["damage"] == []


def test_export__to_the_standard_output__is_the_bytes_of_the_file(store: Path, tmp_path: Path) -> None:
    assert run_process("db", "export", str(store), str(tmp_path / "file")).exit_code == 0
    piped = subprocess.run(
        [sys.executable, "-m", "metis.cli", "db", "export", str(store), "-"], check=True, capture_output=True
    )
    assert piped.stdout == (tmp_path / "file").read_bytes()


def test_export__to_a_disk_that_is_full__is_refused(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "db", "export", str(store), "/dev/full", "--json")
    assert (ended.exit_code, ended.object["error"]["kind"]) == (2, "disk-full")


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_import__of_a_damaged_export__is_refused_and_makes_no_store(
    damage: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    run_here(capsys, "db", "export", str(store), str(file))
    content = bytearray(file.read_bytes())
    if damage == "cut":
        del content[-3:]
    else:
        content[len(content) // 2] ^= 4
    file.write_bytes(content)
    ended = run_here(capsys, "db", "import", str(file), str(tmp_path / "copy"), "--json")
    assert (ended.exit_code, ended.object["error"]["kind"]) == (2, "corrupt")
    assert not (tmp_path / "copy" / "state").exists()


def test_import__of_a_genesis_document__has_its_accounts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "genesis.json"
    account = {"balance": "0x10", "code": "0x5b", "storage": {"0x01": "0x02", "0x02": "0x00"}}
    file.write_text(json.dumps({"alloc": {"aa" * 20: account, "bb" * 20: {"balance": "7"}}}))
    ended = run_here(capsys, "db", "import", str(file), str(tmp_path / "copy"), "--json")
    assert (ended.exit_code, ended.object["counts"]) == (0, {"accounts": 2, "slots": 1, "codes": 1})
    found = MetisStore.open_to_read(str(tmp_path / "copy"))
    assert (found.storage(bytes([0xAA]) * 20, 1), found.code(bytes([0xAA]) * 20)) == (2, b"\x5b")


def test_stats_and_prune__of_a_store__count_it_and_give_room_back(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run_here(capsys, "db", "stats", str(store), "--json").object
    assert before["state_count"] > 3
    assert sum(before["bytes"].values()) >= (store / "state").stat().st_size
    pruned = run_here(capsys, "db", "prune", str(store), "--keep", "2", "--json").object
    assert (pruned["state_count"], pruned["bytes"] <= pruned["bytes_before"]) == (3, True)
    after = run_here(capsys, "db", "stats", str(store), "--json").object
    assert (after["state_count"], after["newest"], after["counts"]) == (3, before["newest"], before["counts"])
    assert "kept states" in run_here(capsys, "db", "stats", str(store)).out


def test_prune__of_a_folder_without_a_store__is_refused_and_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(capsys, "db", "prune", str(tmp_path), "--json").exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_commands__that_only_read__work_beside_a_writer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = MetisStore.open(str(tmp_path / "store"), {bytes(20): Account(nonce=1)})
    for command in (["inspect"], ["verify"], ["stats"]):
        assert run_here(capsys, "db", *command, str(tmp_path / "store"), "--json").exit_code == 0
    assert run_here(capsys, "db", "export", str(tmp_path / "store"), str(tmp_path / "file")).exit_code == 0
    ended = run_here(capsys, "db", "prune", str(tmp_path / "store"), "--json")
    assert (ended.exit_code, ended.object["error"]["kind"]) == (2, "locked")
    assert writer.block_number == 0
