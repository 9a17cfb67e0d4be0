"""Simulation: eth_call, eth_estimateGas, eth_createAccessList. They run on threads; the engine frees the lock."""

from __future__ import annotations

from typing import Any

from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import require_block
from metis.rpc.namespaces.encoding import hex_data, hex_word
from metis.rpc.namespaces.overrides import AccountOverride, BlockOverride, block_overrides, state_overrides
from metis.rpc.namespaces.transaction_arguments import TransactionFields, transaction_arguments, unsigned_call
from metis.rpc.parameters import BlockId, block_id
from metis.rpc.registry import MethodRegistry, Parameter
from metis.rpc.reverts import execution_reverted

__all__ = ["outcome_error", "register_calls"]

_CALL = Parameter("transaction", transaction_arguments)
_BLOCK = Parameter("block", block_id, "latest")
_STATE = Parameter("state_overrides", state_overrides, None)
_ENVIRONMENT = Parameter("block_overrides", block_overrides, None)

HALT_WORDS = {
    "out-of-gas": "out of gas",
    "memory-limit": "out of gas",
    "unknown-opcode": "invalid opcode",
    "invalid-opcode": "invalid opcode: INVALID",
    "invalid-jump": "invalid jump destination",
    "stack-underflow": "stack underflow",
    "stack-overflow": "stack limit reached",
    "offset-out-of-bounds": "return data out of bounds",
    "create-collision": "contract address collision",
    "code-too-large": "max code size exceeded",
    "code-starts-with-ef": "invalid code: must not begin with 0xef",
    "initcode-too-large": "max initcode size exceeded",
    "nonce-overflow": "nonce uint64 overflow",
    "write-in-static-call": "write protection",
    "insufficient-balance": "insufficient balance for transfer",
    "call-too-deep": "max call depth exceeded",
}
"""geth's words for halts that clients look for; another reason is told as it is."""


def register_calls(registry: MethodRegistry, backend: Backend) -> None:
    """Add the methods that run code without keeping what it did."""
    node = backend.node
    chain_id = node.spec.chain_id

    @registry.pool("eth_call", _CALL, _BLOCK, _STATE, _ENVIRONMENT)
    def call(
        fields: TransactionFields,
        block: BlockId,
        state: dict[bytes, AccountOverride] | None,
        environment: BlockOverride | None,
    ) -> str:
        """Run a message on the state after a block and return its output; nothing is kept, nobody pays."""
        message = unsigned_call(fields, chain_id=chain_id, gas_max=backend.call_gas_max)
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
        message = unsigned_call(fields, chain_id=chain_id, gas_max=backend.call_gas_max)
        kind, value = node.estimate_gas(message, require_block(node, block), state, environment)
        if kind == "gas":
            return hex(value)
        if kind == "allowance":
            raise RpcError(ErrorCode.INVALID_INPUT, f"gas required exceeds allowance ({value})")
        raise outcome_error(value)

    @registry.pool("eth_createAccessList", _CALL, _BLOCK, _STATE)
    def create_access_list(
        fields: TransactionFields, block: BlockId, state: dict[bytes, AccountOverride] | None
    ) -> dict[str, Any]:
        """Return the addresses and slots that a transaction touches, and its gas with that list (EIP-2930)."""
        message = unsigned_call(fields, chain_id=chain_id, gas_max=backend.call_gas_max)
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


def outcome_error(outcome: dict[str, Any]) -> RpcError:
    """Return the error of a call that reverted or halted."""
    if outcome["status"] == "revert":
        return execution_reverted(outcome["output"])
    reason = outcome["halt_reason"] or "halted"
    return RpcError(ErrorCode.INVALID_INPUT, HALT_WORDS.get(reason, reason))
