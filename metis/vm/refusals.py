"""
The fixtures' names for refused transactions, and which of our reasons each one allows.

A test that expects a refusal is only passed for the right reason: an engine that refuses
everything would otherwise pass them all. Where a transaction breaks two rules the fixture lists
both, separated by "|"; where the fixtures split one of our rules (a type before its fork) or name
one we split, the sets overlap.

Source: execution-specs, ``TransactionException`` (2025); the older names are retesteth's.
"""

from __future__ import annotations

from metis.types import DecodeError, InvalidTransaction

__all__ = ["EXPECTED_REFUSALS", "is_expected", "refusal_name"]

_PREFIX = "TransactionException."

_ANY_DECODE = "decode:*"
"""Bytes that are no transaction, whichever field it shows in."""


def _decode(*fields: str) -> frozenset[str]:
    return frozenset(f"decode:{field}" for field in fields)


def _reason(*slugs: str) -> frozenset[str]:
    return frozenset(slugs)


_MALFORMED = frozenset([_ANY_DECODE])
_SIGNATURE = _decode("v", "y_parity", "r", "s")
_ACCESS_LIST = _decode("access_list")

EXPECTED_REFUSALS: dict[str, frozenset[str]] = {
    # What may not be in this block on this state.
    "TYPE_NOT_SUPPORTED": _reason("type-not-active") | _decode("type"),
    "SENDER_NOT_EOA": _reason("sender-not-eoa"),
    "NONCE_MISMATCH_TOO_HIGH": _reason("nonce-too-high"),
    "NONCE_MISMATCH_TOO_LOW": _reason("nonce-too-low"),
    "NONCE_TOO_BIG": _reason("nonce-is-max") | _decode("nonce"),
    "NONCE_IS_MAX": _reason("nonce-is-max"),
    "GASLIMIT_PRICE_PRODUCT_OVERFLOW": _reason("cost-overflow", "insufficient-funds") | _decode("gas_price_wei"),
    "INVALID_CHAINID": _reason("wrong-chain-id") | _decode("chain_id", "v"),
    "INSUFFICIENT_ACCOUNT_FUNDS": _reason("insufficient-funds", "cost-overflow"),
    "INSUFFICIENT_MAX_FEE_PER_GAS": _reason("fee-cap-below-base-fee"),
    "PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS": _reason("priority-fee-above-fee-cap"),
    "PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS_2": _reason("priority-fee-above-fee-cap"),
    "INSUFFICIENT_MAX_FEE_PER_BLOB_GAS": _reason("blob-fee-cap-too-low"),
    # The floor of EIP-7623 is a rule of its own in some clients, part of the intrinsic gas in others.
    "INTRINSIC_GAS_TOO_LOW": _reason("intrinsic-gas-too-low", "gas-below-floor"),
    "INTRINSIC_GAS_BELOW_FLOOR_GAS_COST": _reason("gas-below-floor", "intrinsic-gas-too-low"),
    "INITCODE_SIZE_EXCEEDED": _reason("initcode-too-large"),
    "GAS_ALLOWANCE_EXCEEDED": _reason("gas-limit-above-block"),
    "GAS_LIMIT_EXCEEDS_MAXIMUM": _reason("gas-limit-above-cap"),
    "TYPE_1_TX_PRE_FORK": _reason("type-not-active"),
    "TYPE_2_TX_PRE_FORK": _reason("type-not-active"),
    "TYPE_3_TX_PRE_FORK": _reason("type-not-active"),
    "TYPE_3_TX_ZERO_BLOBS_PRE_FORK": _reason("type-not-active", "no-blobs"),
    "TYPE_4_TX_PRE_FORK": _reason("type-not-active"),
    "TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH": _reason("blob-version"),
    "TYPE_3_TX_BLOB_COUNT_EXCEEDED": _reason("too-many-blobs"),
    # The block's limit instead of the transaction's own; a state test's block has one transaction.
    "TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED": _reason("too-many-blobs"),
    "TYPE_3_TX_ZERO_BLOBS": _reason("no-blobs"),
    # EIP-4844 and EIP-7702 make ``to`` an address, so that a creation cannot even be decoded.
    "TYPE_3_TX_CONTRACT_CREATION": _reason("blob-creation") | _decode("to"),
    "TYPE_4_TX_CONTRACT_CREATION": _reason("delegation-creation") | _decode("to"),
    "TYPE_4_EMPTY_AUTHORIZATION_LIST": _reason("no-authorizations"),
    "TYPE_4_INVALID_AUTHORIZATION_FORMAT": _decode("authorization_list"),
    "TYPE_4_INVALID_AUTHORITY_SIGNATURE": _decode("authorization_list"),
    "TYPE_4_INVALID_AUTHORITY_SIGNATURE_S_TOO_HIGH": _decode("authorization_list"),
    # What is no transaction at all.
    "ADDRESS_TOO_SHORT": _decode("to"),
    "ADDRESS_TOO_LONG": _decode("to"),
    "NONCE_OVERFLOW": _decode("nonce"),
    "GASLIMIT_OVERFLOW": _decode("gas_limit"),
    "VALUE_OVERFLOW": _decode("value_wei"),
    "GASPRICE_OVERFLOW": _decode("gas_price_wei"),
    "PRIORITY_OVERFLOW": _decode("max_priority_fee_per_gas_wei"),
    "INVALID_SIGNATURE_VRS": _SIGNATURE,
    "EC_RECOVERY_FAIL": _SIGNATURE,
    "RLP_INVALID_SIGNATURE_R": _SIGNATURE,
    "RLP_INVALID_SIGNATURE_S": _SIGNATURE,
    "RLP_LEADING_ZEROS_GASLIMIT": _decode("gas_limit"),
    "RLP_LEADING_ZEROS_GASPRICE": _decode("gas_price_wei"),
    "RLP_LEADING_ZEROS_VALUE": _decode("value_wei"),
    "RLP_LEADING_ZEROS_NONCE": _decode("nonce"),
    "RLP_LEADING_ZEROS_R": _SIGNATURE,
    "RLP_LEADING_ZEROS_S": _SIGNATURE,
    "RLP_LEADING_ZEROS_V": _SIGNATURE,
    "RLP_LEADING_ZEROS_BASEFEE": _decode("gas_price_wei"),
    "RLP_LEADING_ZEROS_PRIORITY_FEE": _decode("max_priority_fee_per_gas_wei"),
    "RLP_LEADING_ZEROS_DATA_SIZE": _decode("data"),
    "RLP_LEADING_ZEROS_NONCE_SIZE": _decode("nonce"),
    "RLP_INVALID_DATA": _decode("data"),
    "RLP_INVALID_GASLIMIT": _decode("gas_limit"),
    "RLP_INVALID_NONCE": _decode("nonce"),
    "RLP_INVALID_TO": _decode("to"),
    "RLP_INVALID_VALUE": _decode("value_wei"),
    "RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_LONG": _ACCESS_LIST,
    "RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_SHORT": _ACCESS_LIST,
    "RLP_INVALID_ACCESS_LIST_STORAGE_TOO_LONG": _ACCESS_LIST,
    "RLP_INVALID_ACCESS_LIST_STORAGE_TOO_SHORT": _ACCESS_LIST,
    "RLP_INVALID_HEADER": _MALFORMED,
    "RLP_TOO_FEW_ELEMENTS": _MALFORMED,
    "RLP_TOO_MANY_ELEMENTS": _MALFORMED,
    "RLP_ERROR_EOF": _MALFORMED,
    "RLP_ERROR_SIZE": _MALFORMED,
    "RLP_ERROR_SIZE_LEADING_ZEROS": _MALFORMED,
    "TYPE_3_TX_WITH_FULL_BLOBS": _MALFORMED,
}
"""Name in the fixtures, without its class → reasons of InvalidTransaction or ``decode:field`` of DecodeError."""


def _both(*names: str) -> frozenset[str]:
    return frozenset().union(*(EXPECTED_REFUSALS[name] for name in names))


EXPECTED_REFUSALS |= {
    "TR_TypeNotSupported": _both("TYPE_NOT_SUPPORTED"),
    "TR_IntrinsicGas": _both("INTRINSIC_GAS_TOO_LOW"),
    "IntrinsicGas": _both("INTRINSIC_GAS_TOO_LOW"),
    "TR_NoFunds": _both("INSUFFICIENT_ACCOUNT_FUNDS"),
    "TR_NoFundsX": _both("INSUFFICIENT_ACCOUNT_FUNDS", "GASLIMIT_PRICE_PRODUCT_OVERFLOW"),
    "TR_NoFundsOrGas": _both("INSUFFICIENT_ACCOUNT_FUNDS", "INTRINSIC_GAS_TOO_LOW"),
    "SenderNotEOA": _both("SENDER_NOT_EOA"),
    "SenderNotEOAorNoCASH": _both("SENDER_NOT_EOA", "INSUFFICIENT_ACCOUNT_FUNDS"),
    "TR_GasLimitReached": _both("GAS_ALLOWANCE_EXCEEDED"),
    "TR_TipGtFeeCap": _both("PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS"),
    "TR_FeeCapLessThanBlocks": _both("INSUFFICIENT_MAX_FEE_PER_GAS"),
    "TR_FeeCapLessThanBlocksORNoFunds": _both("INSUFFICIENT_MAX_FEE_PER_GAS", "INSUFFICIENT_ACCOUNT_FUNDS"),
    "TR_FeeCapLessThanBlocksORGasLimitReached": _both("INSUFFICIENT_MAX_FEE_PER_GAS", "GAS_ALLOWANCE_EXCEEDED"),
    "TR_NonceHasMaxValue": _both("NONCE_IS_MAX"),
    "TR_NonceTooLow": _both("NONCE_MISMATCH_TOO_LOW"),
    "TR_NonceTooHigh": _both("NONCE_MISMATCH_TOO_HIGH"),
    "TR_RLP_WRONGVALUE": _both("RLP_INVALID_VALUE"),
    "TR_InitCodeLimitExceeded": _both("INITCODE_SIZE_EXCEEDED"),
    "TR_BLOBCREATE": _both("TYPE_3_TX_CONTRACT_CREATION"),
    "TR_EMPTYBLOB": _both("TYPE_3_TX_ZERO_BLOBS"),
    "TR_BLOBVERSION_INVALID": _both("TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH"),
    "TR_BLOBLIST_OVERSIZE": _both("TYPE_3_TX_BLOB_COUNT_EXCEEDED"),
}


def refusal_name(error: InvalidTransaction | DecodeError) -> str:
    """
    Our name for a refusal, as the table spells it: a reason, or ``decode:field``.

    A field inside a list counts as the list: ``access_list[0].slots[1]`` is ``access_list``.
    """
    if isinstance(error, DecodeError):
        return f"decode:{error.field.partition('[')[0]}"
    return error.reason


def is_expected(expected: str, refusal: str) -> bool:
    """
    Whether a refusal (:func:`refusal_name`) is one that the fixture's names allow.

    A name that the table does not know allows every refusal: fixtures newer than this table must
    not fail for their vocabulary, and the root is compared all the same.
    """
    for name in expected.split("|"):
        allowed = EXPECTED_REFUSALS.get(name.strip().removeprefix(_PREFIX))
        if allowed is None or refusal in allowed or (_ANY_DECODE in allowed and refusal.startswith("decode:")):
            return True
    return False
