"""Cases in which the engine once differed from the executable specification."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.case import read_case
from tests.differential.compare import assert_same
from tests.differential.oracle_client import Oracle

CASES = sorted(Path(__file__).with_name("regressions").glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_regression__saved_case__equals_specification(oracle: Oracle, path: Path) -> None:
    assert_same(oracle, read_case(path.read_text(encoding="utf-8")))


def test_case__written_and_read__is_equal() -> None:
    """What a failing test prints is the case that failed."""
    import json

    for path in CASES:
        text = path.read_text(encoding="utf-8")
        assert read_case(text).to_request() == json.loads(text)
