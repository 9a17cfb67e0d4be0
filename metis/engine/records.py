"""
Records of blocks: what the transactions accessed, which depend on which, and which were run more than once.

The dependencies follow from the block alone: a transaction depends on the last one before it that gave something it
read another value. Of accounts that counts which it needed to know; payments to one account do not depend on each
other. Conflicts are what happened in one run in parallel: transactions that had been run too early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metis.engine import _native
from metis.engine.blocks import BlockHandle
from metis.engine.compiled import CodeRegistry
from metis.engine.rules import ChainSpec
from metis.engine.state import Store
from metis.types import Address, Gas, Hash32

__all__ = ["BlockRecord", "Conflict", "Dependency", "block_record", "explain_block", "record_from"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """
    Transaction ``transaction`` read what transaction ``on`` had changed; both are positions in the block.

    ``slot`` of the account at ``address``, or None: its balance, nonce or code.
    """

    transaction: int
    on: int
    address: Address
    slot: int | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """
    Transaction ``transaction`` had read something too early, and was run again.

    ``on`` is the last one that had changed it; None where that was no transaction of the block.
    """

    transaction: int
    on: int | None
    address: Address
    slot: int | None


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """
    What the transactions of a block did to each other.

    Attributes
    ----------
    access_list : RLP of the block's access list (EIP-7928). access_list_hash : its Keccak-256.
    transaction_count, gas_used : of the block.
    dependencies : all of them, in order. They do not depend on how the block was run.
    chain : the transactions, each depending on the one before, that have the most gas together; ``chain_gas`` is
        theirs. No executor is faster than they are one after the other.
    conflicts : what was found different when its turn came. rerun_count : transactions that were run again for it.
        Both depend on luck; 0 where the block was run in order.
    """

    access_list: bytes
    access_list_hash: Hash32
    transaction_count: int
    gas_used: Gas
    dependencies: tuple[Dependency, ...]
    chain: tuple[int, ...]
    chain_gas: Gas
    conflicts: tuple[Conflict, ...]
    rerun_count: int


def record_from(fields: dict[str, Any]) -> BlockRecord:
    """Give the engine's answer its types."""
    fields["dependencies"] = tuple(Dependency(*row) for row in fields["dependencies"])
    fields["conflicts"] = tuple(Conflict(*row) for row in fields["conflicts"])
    fields["chain"] = tuple(fields["chain"])
    return BlockRecord(**fields)


def block_record(node: _native.Node, block: int | bytes, *, workers: int = 0) -> BlockRecord | None:
    """
    Run the transactions of a node's block once more in parallel, and say what happened; None for an unknown block.

    Parameters
    ----------
    block : height or hash. workers : as for :func:`explain_block`.

    Raises
    ------
    InvalidBlock : it is the first. StateUnavailable : the state before it is no longer kept.

    Cost: releases the interpreter lock.
    """
    fields = node.block_record(block, workers)
    return None if fields is None else record_from(fields)


def explain_block(
    store: Store,
    spec: ChainSpec,
    parent: BlockHandle,
    block: BlockHandle,
    *,
    registry: CodeRegistry | None = None,
    workers: int = 0,
) -> BlockRecord:
    """
    Execute a block in parallel, check it as :func:`metis.engine.import_block` does, and say what happened.

    Parameters
    ----------
    store : holds ``parent``'s state as its newest, and stays as it is.
    registry : as for :func:`metis.engine.build_block`. workers : threads, however few transactions there are; 0 is one
        for each core.

    Raises
    ------
    InvalidBlock : a consensus rule is broken; ``field`` says where.

    Cost: releases the interpreter lock.
    """
    return record_from(_native.explain_block(store, spec, parent, block, registry, workers))
