"""Blocks: header, body, and what must be known before one can be built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from metis.types.transaction import Transaction
from metis.types.units import Address, BlockNumber, Gas, Hash32, TimestampS, Wei

__all__ = ["Block", "BlockAttributes", "BlockEnvironment", "Header", "Withdrawal"]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A validator withdrawal paid by the block (EIP-4895). ``amount_gwei`` is in Gwei, not Wei."""

    index: int
    validator_index: int
    address: Address
    amount_gwei: int


@dataclass(frozen=True, slots=True)
class Header:
    """A block header (Yellow Paper §4.4.3); fields of later forks are None before them."""

    hash: Hash32
    parent_hash: Hash32
    ommers_hash: Hash32
    beneficiary: Address
    state_root: Hash32
    transactions_root: Hash32
    receipts_root: Hash32
    logs_bloom: bytes
    difficulty: int
    number: BlockNumber
    gas_limit: Gas
    gas_used: Gas
    timestamp_s: TimestampS
    extra_data: bytes
    prev_randao: Hash32
    nonce: bytes
    base_fee_per_gas_wei: Wei | None = None
    withdrawals_root: Hash32 | None = None
    blob_gas_used: Gas | None = None
    excess_blob_gas: Gas | None = None
    parent_beacon_block_root: Hash32 | None = None
    requests_hash: Hash32 | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A sealed block; ``size_bytes`` is the length of its RLP."""

    header: Header
    transactions: tuple[Transaction, ...]
    ommer_hashes: tuple[Hash32, ...]
    withdrawals: tuple[Withdrawal, ...] | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BlockEnvironment:
    """
    The block a transaction runs in, when there is no sealed header yet.

    ``prev_randao`` matters from Paris on, ``difficulty`` before. ``block_hashes`` answers
    BLOCKHASH: block number → hash.
    """

    number: BlockNumber = BlockNumber(1)
    timestamp_s: TimestampS = TimestampS(1)
    beneficiary: Address = Address(bytes(20))
    gas_limit: Gas = Gas(30_000_000)
    base_fee_per_gas_wei: Wei = Wei(0)
    difficulty: int = 0
    prev_randao: Hash32 = Hash32(bytes(32))
    excess_blob_gas: Gas | None = None
    block_hashes: Mapping[int, Hash32] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlockAttributes:
    """
    What the builder decides about the next block; the engine derives everything else.

    ``withdrawals`` and ``parent_beacon_block_root`` are ignored before the forks that introduce
    them. ``is_any_gas_limit`` is for development chains: the gas limit need not be within 1/1024 of
    the parent's, and other nodes refuse such a block.
    """

    timestamp_s: TimestampS
    beneficiary: Address = Address(bytes(20))
    gas_limit: Gas = Gas(30_000_000)
    prev_randao: Hash32 = Hash32(bytes(32))
    extra_data: bytes = b""
    parent_beacon_block_root: Hash32 = Hash32(bytes(32))
    withdrawals: Sequence[Withdrawal] = ()
    is_any_gas_limit: bool = False
