"""Ethereum's state tests as blocks of many transactions: in parallel they are what they are one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from metis.engine import compare_executors
from metis.vm import FixtureFile, fixture_files, shuffled_blocks
from tests.conformance.archive import ARCHIVE_NAME, quick

WORKER_COUNTS = (1, 2, 4, 8, 16)

CASE_COUNT = 21_409
"""Of the archive: all but those of Frontier and Homestead."""


@pytest.fixture(scope="module")
def files(fixture_file: Callable[[str], Path]) -> Sequence[FixtureFile]:
    return list(quick(fixture_files([fixture_file(ARCHIVE_NAME)])))


def compared(files: Sequence[FixtureFile], seed: int) -> Counter[str]:
    """Run the blocks of a seed in every way; what their transactions did."""
    counts: Counter[str] = Counter()
    for block in shuffled_blocks(files, seed):
        result = compare_executors(block.store, block.spec, block.environment, block.transactions, WORKER_COUNTS)
        assert result["difference"] is None, f"seed {seed}, block {block.number} ({block.fork}): {result['difference']}"
        counts["cases"] += len(block.transactions) + block.dropped_count
        counts.update({name: result[name] for name in ("included", "failed", "skipped")})
    return counts


def test_shuffled_blocks__of_a_slice__are_the_same_in_parallel(files: Sequence[FixtureFile]) -> None:
    counts = compared(files[5::12], seed=1)
    assert counts["included"] > 1_000
    assert counts["included"] > 4 * counts["failed"]
    assert counts["skipped"] > 50


def test_shuffled_blocks__same_seed__are_the_same_blocks(files: Sequence[FixtureFile]) -> None:
    def described(seed: int) -> list[tuple[str, bytes, tuple[bytes, ...]]]:
        blocks = shuffled_blocks(files[3::40], seed)
        return [(b.fork, b.store.state_root(), tuple(t.hash + t.sender for t in b.transactions)) for b in blocks]

    assert described(5) == described(5)
    assert described(5) != described(6)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(4))
def test_shuffled_blocks__of_the_whole_archive__are_the_same_in_parallel(
    seed: int, fixture_file: Callable[[str], Path]
) -> None:
    counts = compared(list(fixture_files([fixture_file(ARCHIVE_NAME)])), seed)
    assert counts["cases"] == CASE_COUNT
    assert counts["included"] > 19_000
