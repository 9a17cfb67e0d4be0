"""Blocks from a file: RLP one after the other, as ``geth export`` and Ethereum's test chains write them."""

from __future__ import annotations

from dataclasses import dataclass

from metis.engine import Node
from metis.rpc.namespaces.rlp import items_of_stream
from metis.types import DecodeError

__all__ = ["Import", "import_blocks"]


@dataclass(frozen=True, slots=True)
class Import:
    """How many blocks became the head, and how many were there already or stand beside the chain."""

    head_count: int
    other_count: int


def import_blocks(node: Node, content: bytes) -> Import:
    """
    Verify and store every block of a file, in order; the genesis block is there already.

    Raises
    ------
    DecodeError : the file is no sequence of blocks. InvalidBlock : a block breaks a rule; those before it stay.
    UnknownParent : a block does not follow from what is there.
    """
    encoded: list[bytes] = []
    failure: DecodeError | None = None
    try:
        for item in items_of_stream(content):
            encoded.append(item)  # noqa: PERF402 - what comes before the failure counts
    except DecodeError as problem:
        failure = problem
    imported = node.import_blocks(encoded)
    if failure is not None:
        raise failure
    head_count = imported.count("head")
    return Import(head_count, len(imported) - head_count)
