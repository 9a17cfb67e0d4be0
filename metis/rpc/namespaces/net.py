"""The network around the node: wallets ask for its id before anything else."""

from __future__ import annotations

from metis.rpc.namespaces.backend import Backend
from metis.rpc.registry import MethodRegistry

__all__ = ["register_net"]


def register_net(registry: MethodRegistry, backend: Backend) -> None:
    """Add the net namespace."""
    node = backend.node

    @registry.hot("net_version")
    def version() -> str:
        """Network id as decimal text; the chain id here."""
        return str(node.spec.chain_id)

    registry.alias("eth_networkId", "net_version")

    @registry.hot("net_listening")
    def listening() -> bool:
        """True, as clients use it to see whether the node lives; there are no peers to listen for."""
        return True

    @registry.hot("net_peerCount")
    def peer_count() -> str:
        """Zero: this node has no peers."""
        return "0x0"
