"""The oracle process of the session, and Hypothesis' profile for it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.differential.oracle_client import Oracle
from tests.differential.oracle_env import is_ready

# Deterministic: the same cases on every run, until a generator changes. METIS_DIFFERENTIAL_SEED (a
# number) explores others, see tests/differential/generated.py.
settings.register_profile(
    "differential",
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """The executable specification, or a skip that says how to install it (CI never skips)."""
    if not is_ready():
        message = "the oracle is not installed: run `make oracle` (or python -m tests.differential.oracle_env)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with Oracle() as process:
        yield process
