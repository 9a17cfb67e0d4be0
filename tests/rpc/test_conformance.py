"""execution-apis' cases: all that are applicable pass; what is left out is listed here with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from metis.node.conformance import EXCLUSIONS, run_cases
from metis.node.conformance_cases import load_cases

ARCHIVE_NAME = "execution-apis-tests.tar.xz"

CASE_COUNT = 189
EXCLUDED_COUNTS = {
    # Simulation of many blocks is not built yet.
    "eth_simulateV1": 73,
    # Traces over JSON-RPC are not built yet.
    "debug_traceBlockByHash": 3,
    "debug_traceBlockByNumber": 5,
    "debug_traceTransaction": 3,
}


@pytest.fixture(scope="module")
def archive(fixtures: Path) -> Path:
    path = fixtures / ARCHIVE_NAME
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def test_conformance__all_applicable_cases__pass_and_none_is_lost(archive: Path) -> None:
    report = run_cases(load_cases(archive))
    assert not report.failures, "\n".join(f"{failure.id}: {failure.problem}" for failure in report.failures)
    assert report.counts.total == CASE_COUNT
    skipped = {method: counts.skipped for method, counts in report.by_method.items() if counts.skipped}
    assert skipped == EXCLUDED_COUNTS
    assert set(skipped) == set(EXCLUSIONS)
    assert report.counts.passed == CASE_COUNT - sum(EXCLUDED_COUNTS.values())
