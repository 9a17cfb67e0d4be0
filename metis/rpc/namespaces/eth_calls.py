"""Simulation: eth_call, eth_estimateGas, eth_createAccessList. They run on threads; the engine frees the lock."""

from __future__ import annotations

from typing import Any

from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import require_block
from metis.rpc.namespaces.encoding import hex_data, hex_word
from metis.rpc.namespaces.estimation import estimate_gas as estimate
from metis.rpc.namespaces.outcomes import outcome_error
from metis.rpc.namespaces.overrides import AccountOverride, BlockOverride, block_overrides, state_overrides
from metis.rpc.namespaces.transaction_arguments import TransactionFields, transaction_arguments, unsigned_call
from metis.rpc.parameters import BlockId, block_id
from metis.rpc.registry import MethodRegistry, Parameter

__all__ = ["register_calls"]

_CALL = Parameter("transaction", transaction_arguments)
_BLOCK = Parameter("block", block_id, "latest")
_STATE = Parameter("state_overrides", state_overrides, None)
_ENVIRONMENT = Parameter("block_overrides", block_overrides, None)


def register_calls(registry: MethodRegistry, backend: Backend) -> None:
    """Add the methods that run code without keeping what it did."""
    node = backend.node

    @registry.pool("eth_call", _CALL, _BLOCK, _STATE, _ENVIRONMENT)
    def call(
        fields: TransactionFields,
        block: BlockId,
        state: dict[bytes, AccountOverride] | None,
        environment: BlockOverride | None,
    ) -> str:
        """Run a message on the state after a block and return its output; nothing is kept, nobody pays."""
        message = unsigned_call(fields, chain_id=node.spec.chain_id, gas_max=backend.call_gas_max)
        outcome = node.call(message, require_block(node, block), state, environment)
        if outcome["status"] != "success":
            raise outcome_error(outcome)
        return hex_data(outcome["output"])

    @registry.pool("eth_estimateGas", _CALL, _BLOCK, _STATE, _ENVIRONMENT)
    def estimate_gas(
        fields: TransactionFields,
        block: BlockId,
        state: dict[bytes, AccountOverride] | None,
        environment: BlockOverride | None,
    ) -> str:
        """Return the least gas limit with which a transaction succeeds."""
        message = unsigned_call(fields, chain_id=node.spec.chain_id, gas_max=backend.call_gas_max)
        return hex(estimate(node, message, require_block(node, block), state, environment))

    @registry.pool("eth_createAccessList", _CALL, _BLOCK, _STATE)
    def create_access_list(
        fields: TransactionFields, block: BlockId, state: dict[bytes, AccountOverride] | None
    ) -> dict[str, Any]:
        """Return the addresses and slots that a transaction touches, and its gas with that list (EIP-2930)."""
        message = unsigned_call(fields, chain_id=node.spec.chain_id, gas_max=backend.call_gas_max)
        entries, outcome = node.create_access_list(message, require_block(node, block), state)
        shown: dict[str, Any] = {
            "accessList": [
                {"address": hex_data(address), "storageKeys": [hex_word(slot) for slot in slots]}
                for address, slots in entries
            ]
        }
        if outcome["status"] != "success":
            shown["error"] = outcome_error(outcome).message
        return shown | {"gasUsed": hex(outcome["gas_used"])}
