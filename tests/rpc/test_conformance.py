"""execution-apis' cases: every one passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from metis.node.conformance import EXCLUSIONS, run_cases
from metis.node.conformance_cases import load_cases

ARCHIVE_NAME = "execution-apis-tests.tar.xz"

CASE_COUNT = 189


@pytest.fixture(scope="module")
def archive(fixture_file: Callable[[str], Path]) -> Path:
    return fixture_file(ARCHIVE_NAME)


def test_conformance__every_case__passes_and_none_is_lost(archive: Path) -> None:
    report = run_cases(load_cases(archive))
    assert not report.failures, "\n".join(f"{failure.id}: {failure.problem}" for failure in report.failures)
    assert report.counts.total == CASE_COUNT
    assert not EXCLUSIONS
    assert report.counts.passed == CASE_COUNT
