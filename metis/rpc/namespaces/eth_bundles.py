"""
eth_callMany: messages one after the other, each on what the last one left.

Unlike eth_simulateV1 it makes no blocks: all messages are in the block that is named, with what their bundle, and
bundles before it, assume of that block. Source: Erigon and reth ``eth_callMany``.
"""

from __future__ import annotations

from typing import Any

from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import require_block
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.outcomes import outcome_error
from metis.rpc.namespaces.overrides import AccountOverride, block_overrides, state_overrides
from metis.rpc.namespaces.transaction_arguments import transaction_arguments, unsigned_call
from metis.rpc.parameters import BadValue, block_id, list_of, number_or_quantity, object_of
from metis.rpc.registry import MethodRegistry, Parameter

__all__ = ["register_bundles"]

MESSAGE_COUNT_MAX = 5_000
"""Messages of all bundles together."""

_bundle = object_of(
    {"transactions": list_of(transaction_arguments), "blockOverride": block_overrides}, frozenset({"transactions"})
)


def _transaction_index(value: Any) -> int | None:
    """Read the number of transactions that come before; -1 means all of the block, as in reth."""
    if value in (-1, "-1"):
        return None
    return number_or_quantity(value)


_context = object_of({"blockNumber": block_id, "transactionIndex": _transaction_index})


def bundles(value: Any) -> list[dict[str, Any]]:
    """Read the bundles; there must be one."""
    found = list_of(_bundle)(value)
    if not found:
        raise BadValue("bundles are empty")
    return found


def register_bundles(registry: MethodRegistry, backend: Backend) -> None:
    """Add eth_callMany."""
    node = backend.node

    @registry.pool(
        "eth_callMany",
        Parameter("bundles", bundles),
        Parameter("context", _context, {}),
        Parameter("state_overrides", state_overrides, None),
    )
    def call_many(
        wanted: list[dict[str, Any]], context: dict[str, Any], state: dict[bytes, AccountOverride] | None
    ) -> list[list[dict[str, Any]]]:
        """Run bundles of messages on the state after a block, or after its first transactions; nothing is kept."""
        count = sum(len(bundle["transactions"]) for bundle in wanted)
        if count > MESSAGE_COUNT_MAX:
            raise RpcError(ErrorCode.LIMIT_EXCEEDED, f"{count} messages, at most {MESSAGE_COUNT_MAX}")
        block = require_block(node, context.get("blockNumber", "latest"))
        index = context.get("transactionIndex")
        in_block = node.transaction_count(block) or 0
        if index is not None and index > in_block:
            words = f"transactionIndex {index} is beyond the {in_block} transactions of the block"
            raise RpcError(ErrorCode.INVALID_PARAMS, words)
        messages = [
            (
                [
                    unsigned_call(fields, chain_id=node.spec.chain_id, gas_max=backend.call_gas_max)
                    for fields in bundle["transactions"]
                ],
                bundle.get("blockOverride"),
            )
            for bundle in wanted
        ]
        outcomes = node.call_many(messages, block, index, state)
        return [[_shown(outcome) for outcome in bundle] for bundle in outcomes]


def _shown(outcome: dict[str, Any]) -> dict[str, Any]:
    if outcome["status"] == "success":
        return {"value": hex_data(outcome["output"])}
    return {"error": outcome_error(outcome).message}
