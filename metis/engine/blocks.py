"""
Building, importing and reading blocks.

A :data:`BlockHandle` is a sealed block that stays in Rust. Building takes candidates and keeps
those that fit; importing re-executes a block and checks everything its header claims. Both commit
to the store, or leave it as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metis.engine import _native
from metis.engine.compiled import CodeRegistry
from metis.engine.results import receipt_from
from metis.engine.rules import ChainSpec
from metis.engine.state import Store
from metis.engine.transactions import TransactionHandle, describe_transaction
from metis.types import Block, BlockAttributes, Hash32, Header, InvalidTransaction, Receipt, Withdrawal

__all__ = [
    "BlockHandle",
    "BuiltBlock",
    "SkippedTransaction",
    "build_block",
    "decode_block",
    "describe_block",
    "genesis_block",
    "import_block",
]

BlockHandle = _native.Block
"""A sealed block: ``hash`` (32 bytes), ``number``, ``rlp`` (its full encoding)."""


@dataclass(frozen=True, slots=True)
class SkippedTransaction:
    """A candidate that could not be included: its position among the candidates, and why."""

    index: int
    error: InvalidTransaction


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    """
    A new block, already committed to the store it was built on.

    Attributes
    ----------
    receipts : one per included transaction, in the block's order.
    skipped : the candidates that were left out, in the candidates' order.
    """

    block: BlockHandle
    receipts: tuple[Receipt, ...]
    skipped: tuple[SkippedTransaction, ...]


def genesis_block(genesis_json: bytes, state_root: Hash32) -> BlockHandle:
    """
    Make block 0 of a geth-format genesis document.

    Parameters
    ----------
    state_root : root over the document's accounts, from a store opened with them.

    Raises
    ------
    GenesisError : a field is bad or missing.
    """
    return BlockHandle.genesis(genesis_json, state_root)


def decode_block(rlp: bytes) -> BlockHandle:
    """
    Decode a block; its transactions' senders are recovered when they are needed.

    Raises
    ------
    DecodeError : the bytes are not a block; names the field.
    """
    return BlockHandle.decode(rlp)


def build_block(
    store: Store,
    spec: ChainSpec,
    parent: BlockHandle,
    attributes: BlockAttributes,
    transactions: Sequence[TransactionHandle],
    *,
    registry: CodeRegistry | None = None,
    workers: int = 1,
) -> BuiltBlock:
    """
    Build, seal and commit the next block from candidates, taken in order.

    Parameters
    ----------
    store : holds ``parent``'s state as its newest.
    attributes : what the builder decides; the engine derives the rest of the header.
    transactions : candidates. One that may not be included is skipped, with its reason.
    registry : compiled code to use and to feed; the block is the same without it.
    workers : threads that run the transactions, 0 for one on each core; the block is the same with any.

    Raises
    ------
    InvalidBlock : the attributes break a rule, such as a timestamp that does not grow. The store
        stays as it is.

    Cost: releases the interpreter lock.
    """
    fields = _native.build_block(store, spec, parent, attributes, transactions, registry, workers)
    return BuiltBlock(
        block=fields["block"],
        receipts=tuple(receipt_from(receipt) for receipt in fields["receipts"]),
        skipped=tuple(SkippedTransaction(index, error) for index, error in fields["skipped"]),
    )


def import_block(
    store: Store,
    spec: ChainSpec,
    parent: BlockHandle,
    block: BlockHandle,
    *,
    registry: CodeRegistry | None = None,
    workers: int = 1,
) -> tuple[Receipt, ...]:
    """
    Execute a block somebody else built, check every field and root, and commit it.

    Parameters
    ----------
    store : holds ``parent``'s state as its newest.
    registry, workers : as for :func:`build_block`.

    Returns
    -------
    The receipts, one per transaction.

    Raises
    ------
    InvalidBlock : a consensus rule is broken; ``field`` says where. The store stays as it is.

    Cost: releases the interpreter lock.
    """
    receipts = _native.import_block(store, spec, parent, block, registry, workers)
    return tuple(receipt_from(receipt) for receipt in receipts)


def describe_block(block: BlockHandle) -> Block:
    """
    Copy a block out of the engine: header, transactions with senders, ommers, withdrawals.

    Raises
    ------
    DecodeError : a transaction's signature gives no sender.

    Cost: recovers every signature the first time.
    """
    body = block.body_fields()
    withdrawals = body["withdrawals"]
    return Block(
        header=Header(hash=Hash32(block.hash), **block.header_fields()),
        transactions=tuple(describe_transaction(transaction) for transaction in body["transactions"]),
        ommer_hashes=tuple(body["ommer_hashes"]),
        withdrawals=None if withdrawals is None else tuple(Withdrawal(*values) for values in withdrawals),
        size_bytes=len(block.rlp),
    )
