"""
One node's hot state: store, chain and mempool behind one door, and keys of development accounts.

A :data:`Node` stays in Rust and answers in the JSON of Ethereum's RPC, so that the hot methods of a
server are one call each. What a method costs and whether it frees the interpreter lock is said at
``metis/engine/_native.pyi``.
"""

from __future__ import annotations

from metis.engine import _native

__all__ = ["Node", "address_of", "derive_private_key", "recover_address", "sign_hash", "sign_transaction"]

Node = _native.Node
"""Hot state of one node; ``Node.open`` begins or continues one."""

derive_private_key = _native.derive_private_key
address_of = _native.address_of
recover_address = _native.recover_address
sign_hash = _native.sign_hash
sign_transaction = _native.sign_transaction
