"""What every test may ask for: the checkout, the outside fixtures, and Hypothesis' effort."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

CHECKOUT = Path(__file__).resolve().parent.parent

# `fast` and `ci` always try the same examples, so that a red run is red for everyone; `night`
# looks for new ones. Nothing is timed by Hypothesis: pytest-timeout guards against hanging.
settings.register_profile("fast", max_examples=50, derandomize=True, deadline=None)
settings.register_profile("ci", max_examples=200, derandomize=True, deadline=None)
settings.register_profile("night", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("METIS_HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "fast"))


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the repository."""
    return CHECKOUT


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """
    The folder of data from outside the project.

    ``METIS_FIXTURES`` names it; by default it is ``shared/fixtures`` beside the checkout. A test that
    needs it is skipped where it is absent. Which files it holds: docs/testing.md.
    """
    folder = Path(os.environ.get("METIS_FIXTURES", CHECKOUT.parent / "shared" / "fixtures"))
    if not folder.is_dir():
        pytest.skip(f"no fixtures at {folder}: set METIS_FIXTURES to the folder that has them")
    return folder


@pytest.fixture(scope="session")
def fixture_file(fixtures: Path) -> Callable[[str], Path]:
    """Find a file of that folder by its name; a test that asks for one that is not there is skipped."""

    def find(name: str) -> Path:
        path = fixtures / name
        if not path.is_file():
            pytest.skip(f"{path} is not there")
        return path

    return find
