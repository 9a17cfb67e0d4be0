"""
The Merkle Patricia trie, straight from the Yellow Paper: slow, and written without the engine.

Source: Yellow Paper appendix D (trie), §4.1 (accounts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from metis.types import Account
from tests.property.oracle import big_endian, encode_rlp, keccak

EMPTY_ROOT = keccak(encode_rlp(b""))


class ReferenceTrie:
    """
    A trie over hashed keys.

    Attributes
    ----------
    root : 32 bytes.
    nodes : hash → RLP of every node of 32 bytes and more; shorter ones are inside their parent.
    """

    def __init__(self, entries: Mapping[bytes, bytes]) -> None:
        self.nodes: dict[bytes, bytes] = {}
        pairs = {_nibbles(keccak(key)): value for key, value in entries.items()}
        top = encode_rlp(self._node(pairs)) if pairs else encode_rlp(b"")
        self.root = keccak(top)
        self.nodes[self.root] = top

    def _node(self, pairs: Mapping[tuple[int, ...], bytes]) -> Any:
        """Node over paths that all are still ahead; Yellow Paper (194)."""
        if len(pairs) == 1:
            ((path, value),) = pairs.items()
            return [_hex_prefix(path, leaf=True), value]
        paths = list(pairs)
        shared = 0
        while len({path[shared] for path in paths}) == 1:
            shared += 1
        if shared:
            below = {path[shared:]: value for path, value in pairs.items()}
            return [_hex_prefix(paths[0][:shared], leaf=False), self._reference(below)]
        children: list[Any] = []
        for nibble in range(16):
            below = {path[1:]: value for path, value in pairs.items() if path[0] == nibble}
            children.append(self._reference(below) if below else b"")
        # Hashed keys all have one length, so no value ever ends at a branch.
        return [*children, b""]

    def _reference(self, pairs: Mapping[tuple[int, ...], bytes]) -> Any:
        """A node inside its parent: itself if short, else its hash; Yellow Paper (195)."""
        node = self._node(pairs)
        encoded = encode_rlp(node)
        if len(encoded) < 32:
            return node
        self.nodes[keccak(encoded)] = encoded
        return keccak(encoded)


def list_root(values: Sequence[bytes]) -> bytes:
    """Root of the trie from positions to values, such as a block's transactions; up to 128 of them (§4.4.2)."""
    assert 0 < len(values) <= 128, "longer keys may end at a branch"
    # Keys are the encoded positions themselves, not their hashes.
    pairs = {_nibbles(encode_rlp(big_endian(index))): value for index, value in enumerate(values)}
    return keccak(encode_rlp(ReferenceTrie({})._node(pairs)))


def storage_root(storage: Mapping[int, int]) -> bytes:
    """Root over an account's storage; the same storage is asked for again and again, so it is kept."""
    return _storage_root(frozenset(storage.items()))


@lru_cache(maxsize=4096)
def _storage_root(entries: frozenset[tuple[int, int]]) -> bytes:
    return storage_trie(dict(entries)).root


def storage_trie(storage: Mapping[int, int]) -> ReferenceTrie:
    """Trie over an account's storage; zero values are absent."""
    return ReferenceTrie(
        {slot.to_bytes(32, "big"): encode_rlp(big_endian(value)) for slot, value in storage.items() if value}
    )


def state_trie(accounts: Mapping[Any, Account]) -> ReferenceTrie:
    """Trie over all accounts."""
    return ReferenceTrie({address: _account_rlp(account) for address, account in accounts.items()})


def _account_rlp(account: Account) -> bytes:
    fields = [
        big_endian(account.nonce),
        big_endian(account.balance_wei),
        storage_root(account.storage),
        keccak(account.code),
    ]
    return encode_rlp(fields)


def _nibbles(data: bytes) -> tuple[int, ...]:
    return tuple(nibble for byte in data for nibble in (byte >> 4, byte & 15))


def _hex_prefix(path: tuple[int, ...], *, leaf: bool) -> bytes:
    """Pack nibbles into bytes, with their parity and the kind of node; Yellow Paper appendix C."""
    flag = 2 * leaf + len(path) % 2
    padded = (flag, *path) if len(path) % 2 else (flag, 0, *path)
    return bytes(high << 4 | low for high, low in zip(padded[::2], padded[1::2], strict=True))
