"""What changed between two heads: blocks that left the canonical chain, and blocks that joined it."""

from __future__ import annotations

from metis.engine import Node
from metis.rpc.namespaces.happenings import HeadChange
from metis.types import Hash32

__all__ = ["changes_between"]


def changes_between(node: Node, before: bytes, after: bytes) -> tuple[list[HeadChange], list[HeadChange]]:
    """
    Walk from two heads to their common ancestor.

    Returns
    -------
    (added, oldest first; removed, newest first). Blocks that are no longer stored end the walk.
    """
    old, new = _position(node, before), _position(node, after)
    added: list[HeadChange] = []
    removed: list[HeadChange] = []
    while old is not None and new is not None and old[1] != new[1]:
        if old[0] >= new[0]:
            removed.append(HeadChange(old[0], Hash32(old[1]), is_removed=True))
            old = _parent(node, old[1])
        else:
            added.append(HeadChange(new[0], Hash32(new[1])))
            new = _parent(node, new[1])
    return added[::-1], removed


def _position(node: Node, block_hash: bytes) -> tuple[int, bytes] | None:
    block = node.block(block_hash)
    return None if block is None else (block.number, block_hash)


def _parent(node: Node, block_hash: bytes) -> tuple[int, bytes] | None:
    block = node.block(block_hash)
    if block is None or block.number == 0:
        return None
    return block.number - 1, block.header_fields()["parent_hash"]
