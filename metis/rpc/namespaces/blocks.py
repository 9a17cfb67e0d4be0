"""
Tags, heights and hashes → blocks of this chain (EIP-1898).

State queries need a block that exists and say so when it does not; object queries answer null.
"""

from __future__ import annotations

from metis.engine import Node
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.parameters import BlockByHash, BlockId

__all__ = ["BlockReference", "number_of_tag", "reference_of", "require_block", "require_number"]

BlockReference = int | bytes
"""How the engine's node is told of a block: a height, or a hash."""


def number_of_tag(node: Node, tag: str) -> int:
    """Height of a tag. "pending" is the head: its state is what a call on the pending block begins with."""
    if tag in ("latest", "pending"):
        return node.head_number
    if tag == "earliest":
        return 0
    return node.safe_number if tag == "safe" else node.finalized_number


def reference_of(node: Node, block: BlockId) -> BlockReference | None:
    """
    Find the block that a parameter means, or None where there is none.

    Raises
    ------
    RpcError : the block exists but is not canonical, and the parameter requires that it is.
    """
    if isinstance(block, BlockByHash):
        if node.number_of(block.hash) is not None:
            return block.hash
        if not node.is_known(block.hash):
            return None
        if block.require_canonical:
            raise RpcError(ErrorCode.INVALID_INPUT, "hash is not currently canonical")
        return block.hash
    number = number_of_tag(node, block) if isinstance(block, str) else int(block)
    return number if number <= node.head_number else None


def require_block(node: Node, block: BlockId) -> BlockReference:
    """
    Find the block that a state query is about.

    Raises
    ------
    RpcError : there is no such block, in geth's words.
    """
    reference = reference_of(node, block)
    if reference is None:
        words = "header for hash not found" if isinstance(block, BlockByHash) else "header not found"
        raise RpcError(ErrorCode.INVALID_INPUT, words)
    return reference


def require_number(node: Node, block: BlockId) -> int:
    """Height of the canonical block that a parameter means; raises RpcError where there is none."""
    number = node.number_of(require_block(node, block))
    if number is None:
        raise RpcError(ErrorCode.INVALID_INPUT, "hash is not currently canonical")
    return number
