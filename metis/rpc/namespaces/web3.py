"""What the node is, and Keccak-256."""

from __future__ import annotations

from metis.engine import keccak256
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.parameters import data
from metis.rpc.registry import MethodRegistry, Parameter

__all__ = ["register_web3"]


def register_web3(registry: MethodRegistry, backend: Backend) -> None:
    """Add the web3 namespace."""
    client_version = backend.client_version

    @registry.hot("web3_clientVersion")
    def get_client_version() -> str:
        """Name and version of the program."""
        return client_version

    @registry.hot("web3_sha3", Parameter("data", data))
    def sha3(message: bytes) -> str:
        """Keccak-256 of the data."""
        return hex_data(keccak256(message))
