"""Transactions that may not be included: both sides refuse them, and for the same reason."""

from __future__ import annotations

import pytest

from tests.differential import subject
from tests.differential.compare import assert_same
from tests.differential.oracle_client import Oracle
from tests.differential.refusals import REFUSALS, of_another_chain, on_the_edge


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal__one_broken_rule__is_named_alike(oracle: Oracle, name: str) -> None:
    refusal = REFUSALS[name]
    case = refusal.case()
    expected = assert_same(oracle, case)["transactions"][-1]
    actual = subject.run_transactions_case(case)["transactions"][-1]
    assert not expected["accepted"]
    assert expected["refusal"].split(":")[0] == refusal.error
    assert actual["refusal"].split(":")[0] == refusal.reason


@pytest.mark.parametrize("kind", range(5))
def test_refusal__balance_at_the_edge__one_wei_decides(oracle: Oracle, kind: int) -> None:
    for missing_wei, accepted in ((0, True), (1, False)):
        answer = assert_same(oracle, on_the_edge(kind, missing_wei))
        assert answer["transactions"][0]["accepted"] is accepted


@pytest.mark.parametrize("kind", range(5))
def test_refusal__another_chains_transaction__is_refused_by_the_engine(kind: int) -> None:
    """SPEC: EIP-155, 2930, 1559. The specification does not look at a typed transaction's chain id: no oracle here."""
    outcome = subject.run_transactions_case(of_another_chain(kind))["transactions"][0]
    assert outcome["refusal"].startswith("wrong-chain-id")
