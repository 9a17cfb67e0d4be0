"""Transactions: what is signed and what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from metis.types.receipt import Log
from metis.types.units import Address, Gas, Hash32, Wei

__all__ = ["AccessListEntry", "Authorization", "Transaction", "TransactionOutcome", "UnsignedTransaction"]


@dataclass(frozen=True, slots=True)
class AccessListEntry:
    """An address and slots that a transaction declares in advance (EIP-2930)."""

    address: Address
    slots: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Authorization:
    """
    A signed permission to run ``address``'s code in the signer's account (EIP-7702).

    ``chain_id`` 0 is valid on every chain. ``authority`` is the recovered signer, or None where
    the signature does not recover.
    """

    chain_id: int
    address: Address
    nonce: int
    y_parity: int
    r: int
    s: int
    authority: Address | None = None


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """
    What a transaction asks for, with the sender given instead of signed.

    Attributes
    ----------
    type : 0 legacy, 1 EIP-2930, 2 EIP-1559, 3 EIP-4844, 4 EIP-7702.
    to : receiver, or None to create a contract.
    gas_price_wei : price of types 0 and 1; for later types the fee cap ``max_fee_per_gas``.
    max_priority_fee_per_gas_wei : tip cap of types 2 to 4, None for earlier types.
    chain_id : None only for a legacy transaction without replay protection (before EIP-155).
    """

    sender: Address
    nonce: int
    gas_limit: Gas
    gas_price_wei: Wei
    to: Address | None = None
    value_wei: Wei = Wei(0)
    data: bytes = b""
    type: int = 0
    chain_id: int | None = None
    max_priority_fee_per_gas_wei: Wei | None = None
    access_list: Sequence[AccessListEntry] = ()
    max_fee_per_blob_gas_wei: Wei | None = None
    blob_versioned_hashes: Sequence[Hash32] = ()
    authorization_list: Sequence[Authorization] = ()


@dataclass(frozen=True, slots=True)
class Transaction(UnsignedTransaction):
    """A signed transaction: its hash and signature; ``sender`` was recovered from them."""

    hash: Hash32 = Hash32(b"")
    y_parity: int = 0
    r: int = 0
    s: int = 0


@dataclass(frozen=True, slots=True)
class TransactionOutcome:
    """
    What running one transaction did.

    Attributes
    ----------
    status : "success"; "revert" (the code said REVERT: ``output`` is its data, unused gas is
        returned); "halt" (out of gas, bad opcode, …: all gas is gone, ``halt_reason`` says why).
    gas_used : gas paid for, after refunds. gas_refunded : the refund in it.
    output : returned bytes; for a creation, the deployed code.
    contract_address : the contract a creation deployed, else None.
    logs_hash : Keccak-256 of the RLP list of logs.
    state_root : root of the world state after it.
    """

    status: Literal["success", "revert", "halt"]
    halt_reason: str | None
    gas_used: Gas
    gas_refunded: Gas
    output: bytes
    contract_address: Address | None
    logs: tuple[Log, ...]
    logs_hash: Hash32
    state_root: Hash32
