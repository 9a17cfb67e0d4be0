"""The door to the engine's node and its key functions; nothing else here imports them."""

from __future__ import annotations

from metis.engine import Node, address_of, derive_private_key, sign_hash, sign_transaction

__all__ = ["Node", "address_of", "derive_private_key", "sign_hash", "sign_transaction"]
