"""The table of expected refusals of blocks."""

from __future__ import annotations

import pytest

from metis.types import DecodeError, InvalidBlock, InvalidTransaction, UnknownParent
from metis.vm.block_refusals import (
    EXPECTED_BLOCK_REFUSALS,
    block_refusal_name,
    is_block_refusal_expected,
    rests_on_work,
)


def _of_transaction(reason: str) -> InvalidBlock:
    error = InvalidBlock("transactions[2]", "it is refused")
    error.__cause__ = InvalidTransaction(reason, "nonce", "it is")
    return error


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (InvalidBlock("gas_limit", "too far from the parent's"), "gas_limit"),
        (_of_transaction("nonce-too-low"), "nonce-too-low"),
        (InvalidBlock("transactions[0].y_parity", "gives no sender"), "decode:y_parity"),
        (DecodeError("block", "transactions[3].access_list[0].slots[1]", "short"), "decode:access_list"),
        (DecodeError("block", "header.nonce", "long"), "decode:header.nonce"),
        (DecodeError("block", "payload", "no list"), "decode:payload"),
        (UnknownParent(bytes(32)), "parent_hash"),
    ],
)
def test_block_refusal_name__each_kind__its_own_spelling(
    error: InvalidBlock | DecodeError | UnknownParent, name: str
) -> None:
    assert block_refusal_name(error) == name


@pytest.mark.parametrize(
    ("expected", "refusal"),
    [
        ("BlockException.INVALID_GASLIMIT", "gas_limit"),
        ("BlockException.RLP_STRUCTURES_ENCODING", "decode:payload"),
        ("BlockException.RLP_STRUCTURES_ENCODING|TransactionException.TYPE_3_TX_CONTRACT_CREATION", "decode:to"),
        ("TransactionException.NONCE_MISMATCH_TOO_LOW", "nonce-too-low"),
        ("BlockException.INVALID_STATE_ROOT|TransactionException.NONCE_MISMATCH_TOO_LOW", "nonce-too-low"),
        ("BlockException.FROM_THE_FUTURE", "gas_limit"),
        ("UncleIsBrother", "state_root"),
    ],
)
def test_is_block_refusal_expected__right_reason_or_unknown_name__true(expected: str, refusal: str) -> None:
    assert is_block_refusal_expected(expected, refusal)


@pytest.mark.parametrize(
    ("expected", "refusal"),
    [
        ("BlockException.INVALID_GASLIMIT", "gas_used"),
        ("BlockException.INVALID_GASLIMIT", "decode:gas_limit"),
        ("BlockException.RLP_STRUCTURES_ENCODING", "gas_limit"),
        ("TransactionException.NONCE_MISMATCH_TOO_LOW", "nonce"),
        ("BlockException.INVALID_STATE_ROOT|TransactionException.NONCE_MISMATCH_TOO_LOW", "nonce-too-high"),
    ],
)
def test_is_block_refusal_expected__other_reason__false(expected: str, refusal: str) -> None:
    assert not is_block_refusal_expected(expected, refusal)


def test_rests_on_work__names_of_proof_of_work_alone__true() -> None:
    assert rests_on_work("InvalidDifficulty")
    assert not rests_on_work("InvalidGasUsed")
    assert not rests_on_work(None)


def test_table__every_name__allows_something() -> None:
    assert all(EXPECTED_BLOCK_REFUSALS.values())
