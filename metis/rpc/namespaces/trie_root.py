"""
Root of a Merkle-Patricia trie over a list, as headers commit to transactions and withdrawals.

Only for payloads of the Engine API, whose headers have to be put together again; everywhere else the
engine does this. Source: Yellow Paper, appendix D.
"""

from __future__ import annotations

from collections.abc import Sequence

from metis.engine import keccak256
from metis.rpc.namespaces.rlp import encode_bytes, encode_list, encode_number

__all__ = ["list_root"]

_EMPTY = encode_bytes(b"")
HASH_SIZE_BYTES = 32


def list_root(values: Sequence[bytes]) -> bytes:
    """Return the root of the trie that maps rlp(index) to each value."""
    if not values:
        return keccak256(_EMPTY)
    pairs = sorted((_nibbles(encode_number(index)), value) for index, value in enumerate(values))
    return keccak256(_node(pairs, 0))


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 0x0F))


def _node(pairs: list[tuple[bytes, bytes]], depth: int) -> bytes:
    """Encode the node over all pairs, whose keys agree up to ``depth``."""
    first = pairs[0][0]
    if len(pairs) == 1:
        return encode_list((encode_bytes(_path(first[depth:], is_leaf=True)), encode_bytes(pairs[0][1])))
    last = pairs[-1][0]
    shared = depth
    # Sorted, so what the first and the last share, all share. No key is a prefix of another.
    while first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        path = encode_bytes(_path(first[depth:shared], is_leaf=False))
        return encode_list((path, _reference(_node(pairs, shared))))
    branches: list[list[tuple[bytes, bytes]]] = [[] for _ in range(16)]
    for pair in pairs:
        branches[pair[0][depth]].append(pair)
    children = [_reference(_node(branch, depth + 1)) if branch else _EMPTY for branch in branches]
    return encode_list((*children, _EMPTY))


def _path(nibbles: bytes, *, is_leaf: bool) -> bytes:
    """Pack nibbles with their flags (hex-prefix encoding)."""
    flag = 2 if is_leaf else 0
    padded = bytes([flag + 1, *nibbles]) if len(nibbles) % 2 else bytes([flag, 0, *nibbles])
    return bytes(high << 4 | low for high, low in zip(padded[::2], padded[1::2], strict=True))


def _reference(node: bytes) -> bytes:
    """How a parent refers to a child: by hash, or whole where that is shorter."""
    return node if len(node) < HASH_SIZE_BYTES else encode_bytes(keccak256(node))
