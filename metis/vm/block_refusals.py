"""
The fixtures' names for refused blocks, and which of our reasons each one allows.

As with transactions (metis/vm/refusals.py), a block is only refused well if it is for the right reason. The names of
execution-spec-tests are one rule each. The blocks of other fillers break several, so there any refusal will do.

Source: execution-specs, ``BlockException`` (2025).
"""

from __future__ import annotations

from metis.types import DecodeError, InvalidBlock, InvalidTransaction, UnknownParent
from metis.vm.refusals import is_expected, refusal_name

__all__ = ["EXPECTED_BLOCK_REFUSALS", "block_refusal_name", "is_block_refusal_expected", "rests_on_work"]

_PREFIX = "BlockException."
_TRANSACTION_PREFIX = "TransactionException."

_ANY_DECODE = "decode:*"
"""Bytes that are no block, whichever field it shows in."""

_REQUESTS = frozenset(["requests_hash"])
_NO_BLOCK = frozenset([_ANY_DECODE])

EXPECTED_BLOCK_REFUSALS: dict[str, frozenset[str]] = {
    "UNKNOWN_PARENT": frozenset(["parent_hash"]),
    "UNKNOWN_PARENT_ZERO": frozenset(["parent_hash"]),
    "INVALID_BLOCK_NUMBER": frozenset(["number"]),
    "INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT": frozenset(["timestamp_s"]),
    "INVALID_GASLIMIT": frozenset(["gas_limit"]),
    "GAS_USED_OVERFLOW": frozenset(["gas_used", "gas-limit-above-block"]),
    "INVALID_GAS_USED": frozenset(["gas_used"]),
    "INVALID_GAS_USED_ABOVE_LIMIT": frozenset(["gas_used"]),
    "EXTRA_DATA_TOO_BIG": frozenset(["extra_data"]),
    "INVALID_BASEFEE_PER_GAS": frozenset(["base_fee_per_gas_wei"]),
    "IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS": frozenset(["difficulty"]),
    "IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS": frozenset(["ommers_hash"]),
    "INVALID_UNCLES_HASH": frozenset(["ommers_hash"]),
    "INVALID_STATE_ROOT": frozenset(["state_root"]),
    "INVALID_RECEIPTS_ROOT": frozenset(["receipts_root"]),
    "INVALID_TRANSACTIONS_ROOT": frozenset(["transactions_root"]),
    "INVALID_LOG_BLOOM": frozenset(["logs_bloom"]),
    "INVALID_WITHDRAWALS_ROOT": frozenset(["withdrawals_root"]),
    "INCORRECT_BLOB_GAS_USED": frozenset(["blob_gas_used"]),
    "BLOB_GAS_USED_ABOVE_LIMIT": frozenset(["blob_gas_used", "too-many-blobs"]),
    "INCORRECT_EXCESS_BLOB_GAS": frozenset(["excess_blob_gas"]),
    "INVALID_REQUESTS": _REQUESTS,
    "INVALID_DEPOSIT_EVENT_LAYOUT": _REQUESTS,
    "SYSTEM_CONTRACT_CALL_FAILED": _REQUESTS,
    "SYSTEM_CONTRACT_EMPTY": _REQUESTS,
    "RLP_STRUCTURES_ENCODING": _NO_BLOCK,
    # A field too many or too few: it shows when the header is decoded, or as a field that its fork does not have.
    "INCORRECT_BLOCK_FORMAT": _NO_BLOCK
    | frozenset(["blob_gas_used", "excess_blob_gas", "withdrawals_root", "requests_hash", "base_fee_per_gas_wei"]),
}
"""Name in the fixtures, without its class → fields of InvalidBlock, ``decode:*``, or reasons of InvalidTransaction."""

_RESTS_ON_WORK = frozenset(["InvalidDifficulty", "InvalidDifficulty2", "3675PoSBlockRejected"])


def block_refusal_name(error: InvalidBlock | DecodeError | UnknownParent) -> str:
    """
    Our name for a refusal, as the table spells it: the block's field, the transaction's reason, or ``decode:field``.

    A field of a transaction counts as the transaction's: ``transactions[0].to`` of a block that cannot be decoded is
    ``decode:to``.
    """
    if isinstance(error, UnknownParent):
        return "parent_hash"
    if isinstance(error.__cause__, InvalidTransaction):
        return refusal_name(error.__cause__)
    place, _, field = error.field.partition("].")
    field = field.partition("[")[0] if place.startswith("transactions[") and field else error.field
    # A signature that gives no sender shows when a block is executed.
    return field if isinstance(error, InvalidBlock) and field == error.field else f"decode:{field}"


def is_block_refusal_expected(expected: str, refusal: str) -> bool:
    """
    Whether a refusal (:func:`block_refusal_name`) is one that the fixture's names allow.

    A name that no table knows allows every refusal, as with transactions.
    """
    for name in expected.split("|"):
        if name.startswith(_TRANSACTION_PREFIX):
            if is_expected(name, refusal):
                return True
            continue
        allowed = EXPECTED_BLOCK_REFUSALS.get(name.strip().removeprefix(_PREFIX))
        if allowed is None or refusal in allowed or (_ANY_DECODE in allowed and refusal.startswith("decode:")):
            return True
    return False


def rests_on_work(expected: str | None) -> bool:
    """Whether a refusal is for a rule of proof of work, which the engine does not check."""
    return expected is not None and not _RESTS_ON_WORK.isdisjoint(expected.split("|"))
