"""
A transaction from a state test's fields, for cases without signed bytes (ethereum/legacytests).

The template's lists are indexed by the case; its type follows from the fields that are there.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from metis.types import AccessListEntry, Address, Authorization, Gas, UnsignedTransaction, Wei
from metis.vm.fields import MalformedField, address_field, bytes_field, hash_field, list_field, quantity_field
from metis.vm.statetest import StateCase, StateTest

__all__ = ["template_sender", "unsigned_transaction"]

_INSIDE = "transaction"

_SECP256K1_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""SEC 2, §2.4.1."""


def template_sender(transaction: Mapping[str, Any]) -> Address | None:
    """
    Who the file says the sender is, or None where it says nothing.

    Raises
    ------
    MalformedField : neither an address nor a secret key that makes one.
    """
    if transaction.get("sender"):
        return address_field(transaction, "sender", inside=_INSIDE)
    if transaction.get("secretKey"):
        return _address_of(bytes_field(transaction, "secretKey", inside=_INSIDE))
    return None


def unsigned_transaction(test: StateTest, case: StateCase) -> UnsignedTransaction:
    """
    Fill the template with one case's data, gas limit and value.

    Raises
    ------
    MalformedField : a field is missing or wrong.
    """
    fields = test.transaction
    sender = template_sender(fields)
    if sender is None:
        raise MalformedField(f"{_INSIDE}.sender", "missing, and so is secretKey")
    access_list = _access_list(fields, case.data_index)
    transaction_type = _type(fields, access_list)
    return UnsignedTransaction(
        sender=sender,
        nonce=quantity_field(fields, "nonce", bits=64, inside=_INSIDE),
        gas_limit=Gas(_chosen_quantity(fields, "gasLimit", case.gas_index, bits=64)),
        gas_price_wei=Wei(
            quantity_field(fields, "maxFeePerGas" if transaction_type >= 2 else "gasPrice", inside=_INSIDE)
        ),
        to=address_field(fields, "to", inside=_INSIDE) if fields.get("to") not in (None, "", "0x") else None,
        # Not limited to 256 bits: a value that does not fit is for the engine to refuse.
        value_wei=Wei(_chosen_quantity(fields, "value", case.value_index, bits=None)),
        data=bytes_field({"data": list_field(fields, "data", inside=_INSIDE)[case.data_index]}, "data", inside=_INSIDE),
        type=transaction_type,
        chain_id=test.chain_id if transaction_type > 0 else None,
        max_priority_fee_per_gas_wei=(
            Wei(quantity_field(fields, "maxPriorityFeePerGas", inside=_INSIDE)) if transaction_type >= 2 else None
        ),
        access_list=access_list or (),
        max_fee_per_blob_gas_wei=(
            Wei(quantity_field(fields, "maxFeePerBlobGas", inside=_INSIDE)) if transaction_type == 3 else None
        ),
        blob_versioned_hashes=tuple(
            hash_field({"hash": value}, "hash", inside=f"{_INSIDE}.blobVersionedHashes")
            for value in fields.get("blobVersionedHashes") or ()
        ),
        authorization_list=tuple(_authorization(entry) for entry in fields.get("authorizationList") or ()),
    )


def _type(fields: Mapping[str, Any], access_list: tuple[AccessListEntry, ...] | None) -> int:
    if fields.get("authorizationList") is not None:
        return 4
    if fields.get("blobVersionedHashes") is not None or fields.get("maxFeePerBlobGas") is not None:
        return 3
    if fields.get("maxFeePerGas") is not None:
        return 2
    return 1 if access_list is not None else 0


def _access_list(fields: Mapping[str, Any], data_index: int) -> tuple[AccessListEntry, ...] | None:
    """The access list that goes with this data; None where there is none, which differs from an empty one."""
    if fields.get("accessLists") is None:
        return None
    lists = list_field(fields, "accessLists", inside=_INSIDE)
    chosen = lists[data_index] if data_index < len(lists) else None
    if chosen is None:
        return None
    where = f"{_INSIDE}.accessLists[{data_index}]"
    if not isinstance(chosen, list) or not all(isinstance(entry, dict) for entry in chosen):
        raise MalformedField(where, "not a list of objects")
    return tuple(
        AccessListEntry(
            address=address_field(entry, "address", inside=where),
            slots=tuple(
                quantity_field({"slot": slot}, "slot", inside=where)
                for slot in list_field(entry, "storageKeys", inside=where)
            ),
        )
        for entry in chosen
    )


def _authorization(entry: Any) -> Authorization:
    where = f"{_INSIDE}.authorizationList"
    if not isinstance(entry, dict):
        raise MalformedField(where, "not a list of objects")
    return Authorization(
        chain_id=quantity_field(entry, "chainId", inside=where),
        address=address_field(entry, "address", inside=where),
        nonce=quantity_field(entry, "nonce", bits=64, inside=where),
        y_parity=quantity_field(entry, "yParity" if "yParity" in entry else "v", inside=where),
        r=quantity_field(entry, "r", inside=where),
        s=quantity_field(entry, "s", inside=where),
        authority=address_field(entry, "signer", inside=where) if entry.get("signer") else None,
    )


def _chosen_quantity(fields: Mapping[str, Any], field: str, index: int, bits: int | None) -> int:
    return quantity_field({field: list_field(fields, field, inside=_INSIDE)[index]}, field, bits=bits, inside=_INSIDE)


@functools.cache
def _address_of(secret_key: bytes) -> Address:
    # Imported here: only old tests name a sender by key alone, and nearly all use the same one.
    from eth_account import Account

    if len(secret_key) != 32 or not 0 < int.from_bytes(secret_key, "big") < _SECP256K1_ORDER:
        raise MalformedField(f"{_INSIDE}.secretKey", "not a secp256k1 key")
    return Address(bytes.fromhex(Account.from_key(secret_key).address.removeprefix("0x")))
