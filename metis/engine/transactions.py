"""
Bytes → transaction handles.

A :data:`TransactionHandle` is a decoded transaction that stays in Rust: its sender is recovered
once, and running it needs no conversion. ``describe_transaction`` copies it out into a
:class:`metis.types.Transaction` for people and for RPC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import metis.types
from metis.engine import _native

if TYPE_CHECKING:
    from metis.types import Transaction, UnsignedTransaction

__all__ = [
    "TransactionHandle",
    "decode_transaction",
    "decode_transactions",
    "describe_transaction",
    "unsigned_transaction",
]

TransactionHandle = _native.Transaction
"""A decoded transaction: ``hash`` (32 bytes), ``sender`` (20 bytes), ``raw`` (its EIP-2718 encoding)."""


def decode_transaction(raw: bytes) -> TransactionHandle:
    """
    Decode one signed transaction and recover its sender.

    Parameters
    ----------
    raw : EIP-2718 encoding: type byte and payload, or the bare RLP list of a legacy transaction.

    Raises
    ------
    DecodeError : the bytes are not a transaction, or the signature gives no sender; names the field.

    Cost: some tens of microseconds, the signature recovery; keeps the interpreter lock.
    """
    return _native.decode_transaction(raw)


def decode_transactions(raw: Sequence[bytes], threads: int = 0) -> list[TransactionHandle]:
    """
    Decode many signed transactions and recover their senders in parallel.

    Parameters
    ----------
    raw : encodings, as for :func:`decode_transaction`.
    threads : how many to use; 0 means one per core.

    Returns
    -------
    Handles in the order of ``raw``.

    Raises
    ------
    DecodeError : at least one is bad; ``index`` is the position of the first bad one.

    Cost: releases the interpreter lock.
    """
    return _native.decode_transactions(raw, threads)


def unsigned_transaction(fields: UnsignedTransaction) -> TransactionHandle:
    """
    Make a handle of a transaction nobody signed, for simulation and for replays of known senders.

    It executes like a signed one with the same sender. In place of a signature it carries the
    sender, so its ``hash`` and ``raw`` are not those of any transaction on a chain.

    Raises
    ------
    DecodeError : a field is missing, out of range, or does not belong to the transaction's type.
    """
    return _native.unsigned_transaction(fields)


def describe_transaction(transaction: TransactionHandle) -> Transaction:
    """Copy a transaction's fields out of the engine."""
    fields: dict[str, Any] = transaction.fields()
    fields["access_list"] = tuple(
        metis.types.AccessListEntry(address, tuple(slots)) for address, slots in fields["access_list"]
    )
    fields["blob_versioned_hashes"] = tuple(fields["blob_versioned_hashes"])
    fields["authorization_list"] = tuple(metis.types.Authorization(*values) for values in fields["authorization_list"])
    return metis.types.Transaction(**fields)
