"""Replaying a recorded mainnet block."""

from __future__ import annotations

import json
import lzma
from dataclasses import replace
from pathlib import Path

import pytest

from metis.sdk import load_recorded_block, replay_block
from metis.types import FixtureError


@pytest.fixture(scope="module")
def recorded_path(fixtures: Path) -> Path:
    path = fixtures / "mainnet-blocks" / "18920116.json.xz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path


def test_replay__mainnet_block_18920116__logs_what_was_recorded(recorded_path: Path) -> None:
    recorded = load_recorded_block(recorded_path)

    replay = replay_block(recorded, fork="Shanghai")

    assert (len(recorded.transactions), len(recorded.accounts)) == (146, 357)
    assert replay.differences == ()
    assert [receipt.logs for receipt in replay.outcome.receipts] == list(recorded.logs)


@pytest.mark.parametrize("workers", [1, 2, 4, 8, 16])
def test_replay__mainnet_block_in_parallel__is_the_same(recorded_path: Path, workers: int) -> None:
    recorded = load_recorded_block(recorded_path)

    replay = replay_block(recorded, fork="Shanghai", workers=workers)

    assert replay.differences == ()
    # Receipts with their gas, and the roots of receipts and state.
    assert replay.outcome == replay_block(recorded, fork="Shanghai").outcome


def test_replay__a_recording_with_another_log__reports_that_log(recorded_path: Path) -> None:
    recorded = load_recorded_block(recorded_path)
    index = next(position for position, logs in enumerate(recorded.logs) if logs)
    real = recorded.logs[index][0]
    logs = list(recorded.logs)
    logs[index] = (replace(real, data=real.data + b"\x00"), *recorded.logs[index][1:])

    replay = replay_block(replace(recorded, logs=tuple(logs)), fork="Shanghai")

    (difference,) = replay.differences
    assert (difference.transaction_index, difference.log_index) == (index, 0)
    assert (difference.recorded, difference.replayed) == (logs[index][0], real)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"test": {}}', b'{"test": {"env": {"block_number": "x"}}}', b'{"one": {}, "two": {}}'],
)
def test_load__a_file_of_another_format__is_a_fixture_error(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "block.json"
    path.write_bytes(content)

    with pytest.raises(FixtureError) as caught:
        load_recorded_block(path)

    assert caught.value.path == str(path)


def test_load__a_damaged_archive__is_a_fixture_error(tmp_path: Path) -> None:
    path = tmp_path / "block.json.xz"
    path.write_bytes(lzma.compress(json.dumps({"test": {}}).encode())[:-8])

    with pytest.raises(FixtureError):
        load_recorded_block(path)
