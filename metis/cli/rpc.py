"""``metis rpc``: the group of the JSON-RPC commands."""

from __future__ import annotations

from typing import ClassVar

from metis.cli.lazy import LazyGroup, new_group

__all__ = ["app"]


class _RpcGroup(LazyGroup):
    targets: ClassVar[dict[str, tuple[str, str]]] = {
        "conformance": (
            "metis.cli.rpc_conformance:conformance",
            "Check a fresh node against Ethereum's JSON-RPC cases.",
        ),
    }


app = new_group(_RpcGroup)


@app.callback(no_args_is_help=True)
def _rpc() -> None:
    """Check the node's JSON-RPC interface."""
