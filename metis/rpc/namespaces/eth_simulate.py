"""
eth_simulateV1: blocks of calls on top of the chain, sealed as real ones would be, and forgotten.

Here the chain of blocks is made whole (numbers and times that were not given, blocks between); the engine runs it.
Source: execution-apis ``eth_simulateV1``; go-ethereum ``internal/ethapi/simulate.go`` for codes and words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import orjson

from metis.engine import Node
from metis.rpc.errors import ErrorCode, RpcError, error_answer
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import BlockReference, require_block
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.outcomes import outcome_error
from metis.rpc.namespaces.overrides import AccountOverride, BlockOverride, block_overrides, state_overrides
from metis.rpc.namespaces.transaction_arguments import (
    ZERO_ADDRESS,
    TransactionFields,
    check_chain_id,
    transaction_arguments,
    unsigned,
)
from metis.rpc.parameters import (
    BadValue,
    BlockId,
    address,
    block_id,
    boolean,
    hash32,
    list_of,
    object_of,
    quantity_of,
)
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import DecodeError, Hash32, InvalidTransaction, UnsignedTransaction, Withdrawal

__all__ = ["SimulationCode", "register_simulation"]

BLOCK_COUNT_MAX = 256
CALLS_PER_BLOCK_MAX = 5_000
BLOCK_INTERVAL_S = 12
"""Between blocks whose time was not given."""


class SimulationCode(IntEnum):
    """Codes that eth_simulateV1 alone answers with."""

    VM_ERROR = -32015
    NONCE_TOO_LOW = -38010
    NONCE_TOO_HIGH = -38011
    FEE_CAP_TOO_LOW = -38012
    INTRINSIC_GAS_TOO_LOW = -38013
    INSUFFICIENT_FUNDS = -38014
    BLOCK_GAS_LIMIT_REACHED = -38015
    BLOCK_NUMBER_ORDER = -38020
    TIMESTAMP_ORDER = -38021
    SENDER_NOT_EOA = -38024
    INITCODE_TOO_LARGE = -38025
    LIMIT_EXCEEDED = -38026


CODE_OF_REASON = MappingProxyType(
    {
        "nonce-too-low": SimulationCode.NONCE_TOO_LOW,
        "nonce-too-high": SimulationCode.NONCE_TOO_HIGH,
        "fee-cap-below-base-fee": SimulationCode.FEE_CAP_TOO_LOW,
        "intrinsic-gas-too-low": SimulationCode.INTRINSIC_GAS_TOO_LOW,
        "gas-below-floor": SimulationCode.INTRINSIC_GAS_TOO_LOW,
        "insufficient-funds": SimulationCode.INSUFFICIENT_FUNDS,
        "cost-overflow": SimulationCode.INSUFFICIENT_FUNDS,
        "gas-limit-above-block": SimulationCode.BLOCK_GAS_LIMIT_REACHED,
        "sender-not-eoa": SimulationCode.SENDER_NOT_EOA,
        "initcode-too-large": SimulationCode.INITCODE_TOO_LARGE,
    }
)
"""By the reason of :class:`metis.types.InvalidTransaction`; others are internal errors, as in go-ethereum."""


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """A call of a block. Its nonce and gas limit count only where they were given."""

    message: UnsignedTransaction
    has_nonce: bool
    has_gas_limit: bool


@dataclass(frozen=True, slots=True)
class SimulatedBlock:
    """A block to simulate, as the engine takes it; its number is one more than its parent's."""

    timestamp_s: int
    environment: BlockOverride = field(default_factory=BlockOverride)
    parent_beacon_block_root: bytes = bytes(32)
    withdrawals: Sequence[Withdrawal] = ()
    state: dict[bytes, AccountOverride] = field(default_factory=dict)
    calls: Sequence[SimulatedCall] = ()


_withdrawal = object_of(
    {
        "index": quantity_of(64),
        "validatorIndex": quantity_of(64),
        "address": address,
        "amount": quantity_of(64),
    },
    frozenset({"index", "validatorIndex", "address", "amount"}),
)
_block_extras = object_of({"beaconRoot": hash32, "withdrawals": list_of(_withdrawal)})


def _environment(value: Any) -> tuple[BlockOverride, Hash32 | None, list[Withdrawal]]:
    extras = _block_extras(value)
    withdrawals = [
        Withdrawal(given["index"], given["validatorIndex"], given["address"], given["amount"])
        for given in extras.get("withdrawals", ())
    ]
    return block_overrides(value), extras.get("beaconRoot"), withdrawals


_block = object_of(
    {"blockOverrides": _environment, "stateOverrides": state_overrides, "calls": list_of(transaction_arguments)}
)
_payload = object_of(
    {
        "blockStateCalls": list_of(_block),
        "traceTransfers": boolean,
        "validation": boolean,
        "returnFullTransactions": boolean,
    }
)


def simulation(value: Any) -> dict[str, Any]:
    """Parse the payload."""
    given = _payload(value)
    if not given.get("blockStateCalls"):
        raise BadValue("empty input")
    return given


def register_simulation(registry: MethodRegistry, backend: Backend) -> None:
    """Add eth_simulateV1."""
    node = backend.node

    @registry.pool("eth_simulateV1", Parameter("payload", simulation), Parameter("block", block_id, "latest"))
    def simulate(payload: dict[str, Any], block: BlockId) -> bytes:
        """Simulate blocks of calls on the state after a block, and return them with what the calls did."""
        base = require_block(node, block)
        number, timestamp_s = _number_and_time(node, base)
        blocks = list(complete_chain(payload["blockStateCalls"], number, timestamp_s, node.spec.chain_id))
        try:
            reports = node.simulate_blocks(
                blocks,
                base,
                backend.call_gas_max,
                validates=payload.get("validation", False),
                logs_transfers=payload.get("traceTransfers", False),
                shows_transactions=payload.get("returnFullTransactions", False),
            )
        except InvalidTransaction as refused:
            code = CODE_OF_REASON.get(refused.reason, ErrorCode.INTERNAL_ERROR)
            raise RpcError(code, f"err: {error_answer(refused).message}") from refused
        except DecodeError as refused:
            if refused.subject != "state override":
                raise
            raise RpcError(ErrorCode.INVALID_INPUT, refused.problem) from refused
        return b"[" + b",".join(block_text(report) for report in reports) + b"]"


def _number_and_time(node: Node, block: BlockReference) -> tuple[int, int]:
    handle = node.block(block)
    assert handle is not None  # noqa: S101 - it was found
    return handle.number, int(handle.header_fields()["timestamp_s"])


def complete_chain(
    blocks: Sequence[dict[str, Any]], base_number: int, base_timestamp_s: int, chain_id: int
) -> Iterator[SimulatedBlock]:
    """
    Yield every block from the base's child on: those given, and empty ones where numbers leave a gap.

    Raises
    ------
    RpcError : numbers or times do not grow, or too many blocks or calls.
    """
    if len(blocks) > BLOCK_COUNT_MAX:
        raise RpcError(SimulationCode.LIMIT_EXCEEDED, "too many blocks")
    number, timestamp_s = base_number, base_timestamp_s
    for given in blocks:
        environment, beacon_root, withdrawals = given.get("blockOverrides") or (BlockOverride(), None, [])
        wanted = number + 1 if environment.number is None else environment.number
        if wanted <= number:
            words = f"block numbers must be in order: {wanted} <= {number}"
            raise RpcError(SimulationCode.BLOCK_NUMBER_ORDER, words)
        if wanted - base_number > BLOCK_COUNT_MAX:
            raise RpcError(SimulationCode.LIMIT_EXCEEDED, "too many blocks")
        for _ in range(wanted - number - 1):
            timestamp_s += BLOCK_INTERVAL_S
            yield SimulatedBlock(timestamp_s)
        number = wanted
        before_s = timestamp_s
        timestamp_s = before_s + BLOCK_INTERVAL_S if environment.timestamp_s is None else environment.timestamp_s
        if timestamp_s <= before_s:
            words = f"block timestamps must be in order: {timestamp_s} <= {before_s}"
            raise RpcError(SimulationCode.TIMESTAMP_ORDER, words)
        calls = given.get("calls", ())
        if len(calls) > CALLS_PER_BLOCK_MAX:
            words = f"too many calls in block: {len(calls)} > {CALLS_PER_BLOCK_MAX}"
            raise RpcError(SimulationCode.LIMIT_EXCEEDED, words)
        yield SimulatedBlock(
            timestamp_s,
            environment,
            beacon_root or bytes(32),
            withdrawals,
            given.get("stateOverrides") or {},
            [_call(fields, chain_id) for fields in calls],
        )


def _call(fields: TransactionFields, chain_id: int) -> SimulatedCall:
    """Make a message of EIP-1559's type, unless the fields ask for another."""
    check_chain_id(fields, chain_id)
    is_dynamic = "gasPrice" not in fields
    message = unsigned(
        fields,
        sender=fields.get("from", ZERO_ADDRESS),
        nonce=fields.get("nonce", 0),
        gas_limit=fields.get("gas", 0),
        fee_cap_wei=fields.get("maxFeePerGas", 0) if is_dynamic else fields["gasPrice"],
        tip_wei=fields.get("maxPriorityFeePerGas", 0) if is_dynamic else None,
        chain_id=chain_id,
    )
    return SimulatedCall(message, "nonce" in fields, "gas" in fields)


def block_text(report: dict[str, Any]) -> bytes:
    """Write a simulated block: the block's own members, and what its calls did."""
    calls = orjson.dumps([_call_shown(call) for call in report["calls"]])
    text: bytes = report["block_json"]
    return text[:-1] + b',"calls":' + calls + b"}"


def _call_shown(call: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "returnData": hex_data(call["output"]),
        "logs": orjson.Fragment(call["logs_json"]),
        "gasUsed": hex(call["gas_used"]),
        "maxUsedGas": hex(call["gas_used_max"]),
        "status": "0x1",
    }
    if call["status"] == "success":
        return shown
    error = outcome_error(call)
    if call["status"] == "revert":
        shown_error: dict[str, Any] = {"message": error.message, "code": error.code, "data": error.data}
        # A revert's data is told once, as the error's.
        shown["returnData"] = "0x"
    else:
        shown_error = {"message": error.message, "code": SimulationCode.VM_ERROR}
    return shown | {"status": "0x0", "error": shown_error}
