"""Ethereum's state tests, from the archive: all but the slowest on every change, all of them in the long run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from metis.vm import fixture_files, run_state_tests
from tests.conformance.archive import ARCHIVE_NAME, BEGIN, DOCUMENT, END, core_count, first_differences, quick

CASES_BY_FORK = {
    "Frontier": 16,
    "Homestead": 17,
    "Byzantium": 33,
    "Constantinople": 33,
    "ConstantinopleFix": 33,
    "Istanbul": 34,
    "Berlin": 35,
    "London": 39,
    "Paris": 62,
    "Shanghai": 171,
    "Cancun": 20_969,
}
"""What the archive holds (counted from its files): a reader that loses cases must not pass."""

SLOW_CASE_COUNT = 4


@pytest.fixture(scope="module")
def archive(fixture_file: Callable[[str], Path]) -> Path:
    return fixture_file(ARCHIVE_NAME)


def test_state_tests__all_but_the_slow_files__all_pass_and_none_is_lost(archive: Path) -> None:
    report = run_state_tests(quick(fixture_files([archive])), workers=core_count())
    assert not report.failures, first_differences(report)
    assert report.skipped == 0
    assert report.passed == sum(CASES_BY_FORK.values()) - SLOW_CASE_COUNT
    assert set(report.by_fork) == set(CASES_BY_FORK)


@pytest.mark.long
@pytest.mark.timeout(360)
def test_state_tests__whole_archive__all_pass_and_none_is_lost(archive: Path) -> None:
    report = run_state_tests(fixture_files([archive]), workers=core_count())
    assert not report.failures, first_differences(report)
    assert report.skipped == 0
    assert {fork: count.passed for fork, count in report.by_fork.items()} == CASES_BY_FORK


COMPILED_SHARE_MIN = 0.95
"""Part of the frames with code that must begin in compiled code: a compiler that refuses everything must not pass."""


def test_state_tests__a_slice_compiled__all_pass(archive: Path) -> None:
    files = [file for position, file in enumerate(quick(fixture_files([archive]))) if position % 80 == 7]
    report = run_state_tests(files, mode="eager", workers=core_count())
    assert not report.failures, first_differences(report)
    assert report.passed > 100
    assert report.compiled is not None
    assert report.compiled.compiled_share > COMPILED_SHARE_MIN


def test_state_tests__a_slice_in_parallel__all_pass(archive: Path) -> None:
    files = [file for position, file in enumerate(quick(fixture_files([archive]))) if position % 20 == 3]
    report = run_state_tests(files, mode="parallel", workers=core_count())
    assert not report.failures, first_differences(report)
    assert report.passed > 100


def test_state_tests__a_slice_on_metisdb__all_pass(archive: Path) -> None:
    files = [file for position, file in enumerate(quick(fixture_files([archive]))) if position % 8 == 5]
    report = run_state_tests(files, store="metisdb", workers=core_count())
    assert not report.failures, first_differences(report)
    assert report.passed > 1_000


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_state_tests__whole_archive_on_metisdb__all_pass_and_none_is_lost(archive: Path) -> None:
    report = run_state_tests(fixture_files([archive]), store="metisdb", workers=core_count())
    assert not report.failures, first_differences(report)
    assert {fork: count.passed for fork, count in report.by_fork.items()} == CASES_BY_FORK


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_state_tests__whole_archive_in_parallel__all_pass_and_none_is_lost(archive: Path) -> None:
    report = run_state_tests(fixture_files([archive]), mode="parallel", workers=core_count())
    assert not report.failures, first_differences(report)
    assert {fork: count.passed for fork, count in report.by_fork.items()} == CASES_BY_FORK


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_state_tests__whole_archive_compiled__all_pass_and_none_is_lost(archive: Path) -> None:
    report = run_state_tests(fixture_files([archive]), mode="eager", workers=core_count())
    assert not report.failures, first_differences(report)
    assert {fork: count.passed for fork, count in report.by_fork.items()} == CASES_BY_FORK
    assert report.compiled is not None
    assert report.compiled.compiled_share > COMPILED_SHARE_MIN


def test_conformance_document__its_results__are_of_this_archive() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    results = text.split(BEGIN, 1)[1].split(END, 1)[0]
    rows = {
        cells[0]: int(cells[1].replace(",", "")) for cells in re.findall(r"^(\w+) +([\d,]+)", results, re.MULTILINE)
    }
    assert rows == {**CASES_BY_FORK, "total": sum(CASES_BY_FORK.values())}
