"""Random contracts at every fork: the engine equals the executable specification."""

from __future__ import annotations

import pytest

from tests.differential import bytecode
from tests.differential.generated import check_generated
from tests.differential.oracle_client import Oracle
from tests.differential.world import FORKS


@pytest.mark.parametrize("fork", FORKS)
def test_bytecode__random_contracts__equal_specification(oracle: Oracle, fork: str) -> None:
    covered = check_generated(oracle, bytecode.random_case, examples=12, fork=fork)
    assert covered["success"] > 0


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("fork", FORKS)
def test_bytecode__many_random_contracts__equal_specification(oracle: Oracle, fork: str) -> None:
    check_generated(oracle, bytecode.random_case, examples=400, fork=fork)
