"""The table of expected refusals."""

from __future__ import annotations

import pytest

from metis.types import DecodeError, InvalidTransaction
from metis.vm import is_expected, refusal_name
from metis.vm.refusals import EXPECTED_REFUSALS


@pytest.mark.parametrize(
    ("expected", "refusal"),
    [
        ("TransactionException.INTRINSIC_GAS_TOO_LOW", "intrinsic-gas-too-low"),
        ("TransactionException.INSUFFICIENT_ACCOUNT_FUNDS", "insufficient-funds"),
        ("TransactionException.SENDER_NOT_EOA", "sender-not-eoa"),
        ("TransactionException.RLP_INVALID_VALUE", "decode:value_wei"),
        ("TransactionException.RLP_TOO_FEW_ELEMENTS", "decode:payload"),
        ("TransactionException.TYPE_3_TX_PRE_FORK|TransactionException.TYPE_3_TX_ZERO_BLOBS", "type-not-active"),
        ("TransactionException.TYPE_3_TX_PRE_FORK|TransactionException.TYPE_3_TX_ZERO_BLOBS", "no-blobs"),
        ("TR_NoFundsOrGas", "intrinsic-gas-too-low"),
        ("SenderNotEOA", "sender-not-eoa"),
    ],
)
def test_is_expected__right_reason__true(expected: str, refusal: str) -> None:
    assert is_expected(expected, refusal)


@pytest.mark.parametrize(
    ("expected", "refusal"),
    [
        ("TransactionException.INTRINSIC_GAS_TOO_LOW", "nonce-too-low"),
        ("TransactionException.INTRINSIC_GAS_TOO_LOW", "decode:gas_limit"),
        ("TransactionException.RLP_INVALID_VALUE", "decode:nonce"),
        ("TransactionException.RLP_TOO_FEW_ELEMENTS", "insufficient-funds"),
        ("TransactionException.TYPE_3_TX_PRE_FORK|TransactionException.TYPE_3_TX_ZERO_BLOBS", "blob-version"),
        ("TR_NoFunds", "intrinsic-gas-too-low"),
    ],
)
def test_is_expected__other_reason__false(expected: str, refusal: str) -> None:
    assert not is_expected(expected, refusal)


def test_is_expected__name_newer_than_the_table__any_refusal() -> None:
    assert is_expected("TransactionException.FROM_THE_FUTURE", "nonce-too-low")


def test_refusal_name__each_class__its_own_spelling() -> None:
    assert refusal_name(InvalidTransaction("nonce-too-low", "nonce", "it is")) == "nonce-too-low"
    assert refusal_name(DecodeError("transaction", "value_wei", "too long")) == "decode:value_wei"
    assert refusal_name(DecodeError("transaction", "access_list[0].slots[1]", "short")) == "decode:access_list"


def test_table__every_name__allows_something() -> None:
    assert all(EXPECTED_REFUSALS.values())
