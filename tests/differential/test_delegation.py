"""Delegated accounts (EIP-7702): the engine equals the executable specification."""

from __future__ import annotations

import pytest

from tests.differential import delegation
from tests.differential.compare import assert_same
from tests.differential.generated import check_generated
from tests.differential.oracle_client import Oracle


@pytest.mark.parametrize("name", delegation.SCENARIOS)
def test_delegation__named_scenario__equals_specification(oracle: Oracle, name: str) -> None:
    assert_same(oracle, delegation.SCENARIOS[name]())


@pytest.mark.parametrize("fault", delegation.FAULTS)
def test_delegation__faulty_authorization__is_skipped_alike(oracle: Oracle, fault: str) -> None:
    answer = assert_same(oracle, delegation.faulty_authorization(fault))
    assert answer["transactions"][0]["accepted"]
    assert answer["post"].get("0x" + delegation.AUTHORITY.address.hex(), {"code": "0x"})["code"] == "0x"


def test_delegation__before_prague__type_is_refused(oracle: Oracle) -> None:
    from dataclasses import replace

    case = delegation.SCENARIOS["set on a new account"]()
    cancun = replace(case, fork="Cancun")
    assert not assert_same(oracle, cancun)["transactions"][0]["accepted"]
    prague = replace(case, fork="Prague")
    answer = assert_same(oracle, prague)
    expected = "0x" + delegation.designator(delegation.DELEGATE).hex()
    assert answer["post"]["0x" + delegation.AUTHORITY.address.hex()]["code"] == expected


def test_delegation__random_mixtures__equal_specification(oracle: Oracle) -> None:
    covered = check_generated(oracle, delegation.random_case, examples=40)
    assert covered["success"] > 0


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_delegation__many_random_mixtures__equal_specification(oracle: Oracle) -> None:
    check_generated(oracle, delegation.random_case, examples=1000)
