"""Receipts and logs (Yellow Paper §4.3.1, EIP-658, EIP-2718)."""

from __future__ import annotations

from dataclasses import dataclass

from metis.types.units import Address, Gas, Hash32, Wei

__all__ = ["Log", "Receipt"]


@dataclass(frozen=True, slots=True)
class Log:
    """One event; up to four topics."""

    address: Address
    topics: tuple[Hash32, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    What a mined transaction did, as committed in the receipts root.

    Attributes
    ----------
    type : transaction type. success : EIP-658 status.
    gas_used : of this transaction; cumulative_gas_used : of the block up to and with it.
    effective_gas_price_wei : what the sender paid per gas.
    contract_address : the created contract, or None.
    state_root : post-transaction root that receipts carried before Byzantium, else None.
    """

    type: int
    success: bool
    gas_used: Gas
    cumulative_gas_used: Gas
    effective_gas_price_wei: Wei
    blob_gas_used: Gas
    contract_address: Address | None
    logs: tuple[Log, ...]
    logs_bloom: bytes
    state_root: Hash32 | None = None
