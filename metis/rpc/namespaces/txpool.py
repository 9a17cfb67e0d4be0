"""The pool: "pending" can be executed now, "queued" waits behind a gap in the sender's nonces."""

from __future__ import annotations

from metis.rpc.namespaces.backend import Backend
from metis.rpc.parameters import address
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Address

__all__ = ["register_txpool"]


def register_txpool(registry: MethodRegistry, backend: Backend) -> None:
    """Add the txpool namespace."""
    node = backend.node

    @registry.hot("txpool_status")
    def status() -> dict[str, str]:
        """How many transactions are in the pool."""
        pending, queued = node.pool_status()
        return {"pending": hex(pending), "queued": hex(queued)}

    @registry.pool("txpool_content")
    def content() -> bytes:
        """Every transaction in the pool, by sender and nonce."""
        return node.pool_content_json()

    @registry.pool("txpool_contentFrom", Parameter("address", address))
    def content_from(sender: Address) -> bytes:
        """Every transaction of one sender in the pool, by nonce."""
        return node.pool_content_json(sender)

    @registry.pool("txpool_inspect")
    def inspect() -> bytes:
        """Every transaction in the pool as a line of text, by sender and nonce."""
        return node.pool_inspect_json()
