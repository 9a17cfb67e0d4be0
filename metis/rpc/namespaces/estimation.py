"""How much gas a transaction needs, and what it is told when no amount is enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metis.engine import Node
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.blocks import BlockReference
from metis.rpc.namespaces.outcomes import outcome_error
from metis.types import UnsignedTransaction

__all__ = ["estimate_gas"]


def estimate_gas(
    node: Node,
    message: UnsignedTransaction,
    block: BlockReference,
    state: Mapping[bytes, Any] | None = None,
    environment: Any | None = None,
) -> int:
    """
    Find the least gas limit with which a message succeeds.

    The search is allowed to end a little above it (geth: 1.5 %); a plain transfer gets exactly what
    it costs.

    Raises
    ------
    RpcError : it fails whatever the limit. InvalidTransaction : it may not run at all.
    """
    kind, value = node.estimate_gas(message, block, state, environment)
    if kind == "gas":
        return int(value)
    if kind == "allowance":
        raise RpcError(ErrorCode.INVALID_INPUT, f"gas required exceeds allowance ({value})")
    raise outcome_error(value)
