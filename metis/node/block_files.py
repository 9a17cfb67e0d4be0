"""Blocks from a file: RLP one after the other, as ``geth export`` and Ethereum's test chains write them."""

from __future__ import annotations

from dataclasses import dataclass

from metis.engine import Node, decode_block
from metis.rpc.namespaces.rlp import items_of_stream

__all__ = ["Import", "import_blocks"]


@dataclass(frozen=True, slots=True)
class Import:
    """How many blocks became the head, and how many were there already or stand beside the chain."""

    head_count: int
    other_count: int


def import_blocks(node: Node, content: bytes) -> Import:
    """
    Verify and store every block of a file, in order; the genesis block is skipped.

    Raises
    ------
    DecodeError : the file is no sequence of blocks. InvalidBlock : a block breaks a rule; those before it stay.
    UnknownParent : a block does not follow from what is there.
    """
    head_count = other_count = 0
    for item in items_of_stream(content):
        block = decode_block(item)
        if block.number == 0 and block.hash == node.genesis_hash:
            other_count += 1
        elif node.import_block(block) == "head":
            head_count += 1
        else:
            other_count += 1
    return Import(head_count, other_count)
