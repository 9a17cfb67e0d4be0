"""
Transactions that are described instead of signed: the object of eth_call and eth_sendTransaction.

In: a JSON object. Out: :class:`metis.types.UnsignedTransaction`. What is missing is filled in by the
caller, for a call and a transaction differ in that. Source: go-ethereum ``TransactionArgs``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.parameters import (
    BadValue,
    address,
    data,
    hash32,
    list_of,
    object_of,
    quantity,
    quantity_of,
    storage_slot,
)
from metis.types import AccessListEntry, Address, Authorization, Gas, UnsignedTransaction
from metis.types.units import Wei

__all__ = ["TransactionFields", "is_dynamic", "transaction_arguments", "unsigned_call"]

TransactionFields = dict[str, Any]
"""Fields that were given, by their JSON names, as typed values; ``input`` holds the data whichever name it had."""

ZERO_ADDRESS = Address(bytes(20))

_u64 = quantity_of(64)


def _access_list_entry(value: Any) -> AccessListEntry:
    fields = object_of({"address": address, "storageKeys": list_of(storage_slot)}, frozenset({"address"}))(value)
    return AccessListEntry(fields["address"], tuple(fields.get("storageKeys", ())))


_authorization_fields = object_of(
    {
        "chainId": quantity,
        "address": address,
        "nonce": _u64,
        "yParity": quantity_of(8),
        "r": quantity,
        "s": quantity,
    },
    frozenset({"chainId", "address", "nonce", "yParity", "r", "s"}),
)


def _authorization(value: Any) -> Authorization:
    given = _authorization_fields(_without_leading_zeros(value))
    return Authorization(given["chainId"], given["address"], given["nonce"], given["yParity"], given["r"], given["s"])


def _without_leading_zeros(value: Any) -> Any:
    """Signature words are written as quantities by some clients, as 32 bytes by others; take both."""
    if type(value) is not dict:
        return value
    words = {
        name: f"0x{value[name][2:].lstrip('0') or '0'}"
        for name in ("r", "s")
        if type(value.get(name)) is str and value[name][:2] == "0x"
    }
    return value | words


_arguments = object_of(
    {
        "from": address,
        "to": address,
        "gas": _u64,
        "gasPrice": quantity,
        "maxFeePerGas": quantity,
        "maxPriorityFeePerGas": quantity,
        "value": quantity,
        "nonce": _u64,
        "data": data,
        "input": data,
        "chainId": quantity,
        "type": quantity_of(8),
        "accessList": list_of(_access_list_entry),
        "maxFeePerBlobGas": quantity,
        "blobVersionedHashes": list_of(hash32),
        "authorizationList": list_of(_authorization),
    }
)


def transaction_arguments(value: Any) -> TransactionFields:
    """Parse the object; refuses what contradicts itself."""
    fields = _arguments(value)
    if "data" in fields:
        if "input" in fields and fields["input"] != fields["data"]:
            raise BadValue(
                'both "data" and "input" are set and not equal. Please use "input" to pass transaction call data'
            )
        fields["input"] = fields.pop("data")
    if "gasPrice" in fields and ("maxFeePerGas" in fields or "maxPriorityFeePerGas" in fields):
        raise BadValue("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
    return fields


def is_dynamic(fields: TransactionFields) -> bool:
    """Whether the fields ask for a transaction with a fee cap (EIP-1559 or later)."""
    return any(
        name in fields for name in ("maxFeePerGas", "maxPriorityFeePerGas", "blobVersionedHashes", "authorizationList")
    )


def transaction_type(fields: TransactionFields, *, dynamic: bool) -> int:
    """Return the EIP-2718 type of the fields."""
    if "authorizationList" in fields:
        return 4
    if "blobVersionedHashes" in fields:
        return 3
    if dynamic:
        return 2
    return 1 if "accessList" in fields else 0


def unsigned_call(fields: TransactionFields, *, chain_id: int, gas_max: int) -> UnsignedTransaction:
    """
    Make the message of a simulation: nobody signs, and whoever gives no price pays nothing.

    Parameters
    ----------
    gas_max : what a call without gas gets, and the most that any call gets.

    Raises
    ------
    RpcError : the chain id is another chain's.
    """
    check_chain_id(fields, chain_id)
    dynamic = is_dynamic(fields)
    return unsigned(
        fields,
        sender=fields.get("from", ZERO_ADDRESS),
        nonce=fields.get("nonce", 0),
        gas_limit=min(fields.get("gas") or gas_max, gas_max),
        fee_cap_wei=fields.get("maxFeePerGas", 0) if dynamic else fields.get("gasPrice", 0),
        tip_wei=fields.get("maxPriorityFeePerGas", 0) if dynamic else None,
        chain_id=chain_id,
    )


def check_chain_id(fields: TransactionFields, chain_id: int) -> None:
    """Refuse fields for another chain."""
    given = fields.get("chainId", chain_id)
    if given != chain_id:
        raise RpcError(ErrorCode.INVALID_INPUT, f"chainId does not match node's (have={given}, want={chain_id})")


def unsigned(
    fields: TransactionFields,
    *,
    sender: Address,
    nonce: int,
    gas_limit: int,
    fee_cap_wei: int,
    tip_wei: int | None,
    chain_id: int,
) -> UnsignedTransaction:
    """Put given and filled-in fields together; ``tip_wei`` None makes a legacy or access-list transaction."""
    kind = transaction_type(fields, dynamic=tip_wei is not None)
    access_list: Sequence[AccessListEntry] = tuple(fields.get("accessList", ()))
    return UnsignedTransaction(
        sender=sender,
        nonce=nonce,
        gas_limit=Gas(gas_limit),
        gas_price_wei=Wei(fee_cap_wei),
        to=fields.get("to"),
        value_wei=Wei(fields.get("value", 0)),
        data=fields.get("input", b""),
        type=kind,
        chain_id=chain_id,
        max_priority_fee_per_gas_wei=None if tip_wei is None else Wei(tip_wei),
        access_list=access_list,
        max_fee_per_blob_gas_wei=Wei(fields.get("maxFeePerBlobGas", 0)) if kind == 3 else None,
        blob_versioned_hashes=tuple(fields.get("blobVersionedHashes", ())),
        authorization_list=tuple(fields.get("authorizationList", ())),
    )
