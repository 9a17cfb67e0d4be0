"""The node about itself: chain id, sync state, fork schedule, and questions from before the merge."""

from __future__ import annotations

from typing import Any

from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.fork_config import fork_configs
from metis.rpc.registry import MethodRegistry

__all__ = ["register_info"]

PROTOCOL_VERSION = 68
"""eth/68, what geth last answered; this node has no peers."""


def register_info(registry: MethodRegistry, backend: Backend) -> None:
    """Add the methods about the node itself."""
    node = backend.node

    @registry.hot("eth_chainId")
    def get_chain_id() -> str:
        """Chain id (EIP-155)."""
        return hex(node.spec.chain_id)

    @registry.hot("eth_syncing")
    def syncing() -> bool:
        """False: this node follows no peers, so it is never behind any."""
        return False

    @registry.hot("eth_coinbase")
    def coinbase() -> str:
        """Who gets the tips of blocks that are built here."""
        return hex_data(backend.coinbase)

    @registry.hot("eth_mining")
    def mining() -> bool:
        """Whether blocks are built without being asked for."""
        return backend.is_mining

    @registry.hot("eth_hashrate")
    def hashrate() -> str:
        """Zero: blocks need no work."""
        return "0x0"

    @registry.hot("eth_protocolVersion")
    def protocol_version() -> str:
        """Version of the Ethereum wire protocol."""
        return hex(PROTOCOL_VERSION)

    @registry.hot("eth_config")
    def config() -> dict[str, Any]:
        """Fork configuration: current, next and last (EIP-7910)."""
        head = node.block(node.head_number)
        timestamp_s = 0 if head is None else int(head.header_fields()["timestamp_s"])
        return fork_configs(backend.genesis, node.genesis_hash, node.spec, node.head_number, timestamp_s)

    @registry.hot("eth_capabilities")
    def capabilities() -> dict[str, Any]:
        """What this node can answer about, and from which block on."""
        everything = {"disabled": False, "oldestBlock": "0x0"}
        state = {"disabled": False, "oldestBlock": hex(node.oldest_state_number)}
        return {
            "head": {"number": hex(node.head_number), "hash": hex_data(node.head_hash)},
            "state": state,
            "tx": everything,
            "logs": everything,
            "receipts": everything,
            "blocks": everything,
            "stateproofs": state,
        }
