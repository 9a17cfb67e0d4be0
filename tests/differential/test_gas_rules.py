"""The calldata floor (EIP-7623) and the gas cap per transaction (EIP-7825), to the unit of gas."""

from __future__ import annotations

import pytest

from tests.differential import gas_rules
from tests.differential.compare import assert_same
from tests.differential.generated import check_generated
from tests.differential.oracle_client import Oracle
from tests.differential.world import address_of, draft

CALLDATA = {
    "no bytes": b"",
    "one zero": b"\x00",
    "one nonzero": b"\x01",
    "zeros": b"\x00" * 1000,
    "nonzeros": b"\x01" * 1000,
    "mixed": b"\x01\x00\x00" * 500,
}


@pytest.mark.parametrize("name", CALLDATA)
@pytest.mark.parametrize("kind", ["call", "creation"])
def test_calldata_floor__gas_limit_at_the_edge__accepted_and_one_less_refused(
    oracle: Oracle, name: str, kind: str
) -> None:
    creates = kind == "creation"
    to = None if creates else address_of(77)
    # A creation must not run into its own calldata as code: STOP first.
    data = (b"\x00" if creates else b"") + CALLDATA[name]
    transaction = draft(to, data=data)
    must = max(gas_rules.floor_gas(transaction), gas_rules.intrinsic_gas(transaction))
    for gas_limit, accepted in ((must, True), (must - 1, False), (must + 1, True)):
        outcome = assert_same(oracle, gas_rules.with_calldata(to, data, gas_limit))["transactions"][0]
        assert outcome["accepted"] is accepted
        if accepted:
            assert outcome["gas_used"] == must


@pytest.mark.parametrize("spent", range(0, 256, 15))
def test_calldata_floor__execution_around_the_floor__dearer_one_is_paid(oracle: Oracle, spent: int) -> None:
    """Execution grows from far below the floor to above it."""
    data = bytes([spent]) + b"\x01" * 700
    answer = assert_same(oracle, gas_rules.with_calldata(gas_rules.SPENDER, data, 400_000))
    assert answer["transactions"][0]["gas_used"] >= gas_rules.floor_gas(draft(gas_rules.SPENDER, data=data))


@pytest.mark.parametrize("size", [0, 1_000, 3_000, 4_000, 5_000, 8_000])
def test_calldata_floor__with_refunds__floor_is_taken_after_the_refund(oracle: Oracle, size: int) -> None:
    data = b"\x01" * size
    answer = assert_same(oracle, gas_rules.with_calldata(gas_rules.CLEARER, data, 1_000_000))
    outcome = answer["transactions"][0]
    assert outcome["gas_refunded"] > 0
    assert outcome["gas_used"] >= gas_rules.floor_gas(draft(gas_rules.CLEARER, data=data))


def test_calldata_floor__before_prague__is_not_charged(oracle: Oracle) -> None:
    data = b"\x01" * 1000
    transaction = draft(address_of(77), data=data)
    must = gas_rules.intrinsic_gas(transaction)
    answer = assert_same(oracle, gas_rules.with_calldata(address_of(77), data, must, fork="Cancun"))
    assert answer["transactions"][0]["gas_used"] == must


def test_calldata_floor__random_transactions__equal_specification(oracle: Oracle) -> None:
    covered = check_generated(oracle, gas_rules.random_calldata_case, examples=40)
    assert covered["success"] > 0
    assert covered["refused"] > 0


@pytest.mark.parametrize("kind", range(5))
def test_gas_limit_cap__at_and_above__one_more_is_refused_since_osaka(oracle: Oracle, kind: int) -> None:
    cap = gas_rules.GAS_LIMIT_CAP
    for gas_limit, fork, accepted in ((cap, "Osaka", True), (cap + 1, "Osaka", False), (cap + 1, "Prague", True)):
        answer = assert_same(oracle, gas_rules.at_cap(gas_limit, kind, fork=fork))
        assert answer["transactions"][0]["accepted"] is accepted


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_calldata_floor__many_random_transactions__equal_specification(oracle: Oracle) -> None:
    check_generated(oracle, gas_rules.random_calldata_case, examples=1500)
