"""
Call traces in Parity's form: what each frame of a transaction did, by block, transaction, or filter.

Proof-of-work rewards, which Parity lists after a block's calls, are left out. Source: OpenEthereum's and Erigon's
``trace`` module, as Blockscout and other indexers call it.
"""

from __future__ import annotations

from typing import Any

import orjson

from metis.engine import decode_transaction, describe_transaction
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import reference_of, require_block, require_number
from metis.rpc.namespaces.debug_trace import TRACE_SIZE_BYTES_MAX
from metis.rpc.namespaces.overrides import AccountOverride, BlockOverride, block_overrides, state_overrides
from metis.rpc.namespaces.transaction_arguments import TransactionFields, transaction_arguments, unsigned_call
from metis.rpc.parameters import (
    BadValue,
    BlockId,
    address,
    block_id,
    data,
    hash32,
    list_of,
    number_or_quantity,
    object_of,
    quantity,
    string,
)
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Address, Hash32

__all__ = ["register_trace"]

FILTER_BLOCK_COUNT_MAX = 1_000
"""Every block of a filter's range is run again: indexers walk a chain in ranges of this size."""

CALL_COUNT_MAX = 1_000
"""Most calls of one trace_callMany."""

TRACE_TYPES = frozenset({"trace", "vmTrace", "stateDiff"})


def trace_type(value: Any) -> str:
    """Read the name of a kind of trace."""
    name = string(value)
    if name not in TRACE_TYPES:
        raise BadValue('expected "trace", "vmTrace" or "stateDiff"')
    return name


def addresses(value: Any) -> list[Address]:
    """Read one address, or several."""
    return _addresses(value) if type(value) is list else [address(value)]


_addresses = list_of(address, 1_000)


def _mode(value: Any) -> str:
    mode = string(value)
    if mode not in ("union", "intersection"):
        raise BadValue('expected "union" or "intersection"')
    return mode


_filter = object_of(
    {
        "fromBlock": block_id,
        "toBlock": block_id,
        "fromAddress": addresses,
        "toAddress": addresses,
        "mode": _mode,
        "after": number_or_quantity,
        "count": number_or_quantity,
    }
)

_BLOCK = Parameter("block", block_id)
_HASH = Parameter("hash", hash32)
_types = list_of(trace_type, len(TRACE_TYPES))
_TYPES = Parameter("types", _types)
_NEWEST = Parameter("block", block_id, "latest")


def _call_with_types(value: Any) -> tuple[TransactionFields, list[str]]:
    if type(value) is not list or len(value) != 2:
        raise BadValue("expected a call and the kinds of its trace")
    return transaction_arguments(value[0]), _types(value[1])


_calls = list_of(_call_with_types, CALL_COUNT_MAX)


def register_trace(registry: MethodRegistry, backend: Backend) -> None:
    """Add the trace_* methods."""
    node = backend.node

    @registry.pool("trace_block", _BLOCK)
    def trace_block(block: BlockId) -> bytes | None:
        """Return the call traces of a block, or null."""
        reference = reference_of(node, block)
        return None if reference is None else node.call_traces_json(reference, TRACE_SIZE_BYTES_MAX)

    @registry.pool("trace_transaction", _HASH)
    def trace_transaction(transaction_hash: Hash32) -> bytes | None:
        """Return the call traces of a mined transaction, or null."""
        return node.transaction_call_traces_json(transaction_hash, TRACE_SIZE_BYTES_MAX)

    @registry.pool("trace_get", _HASH, Parameter("indices", list_of(quantity)))
    def get(transaction_hash: Hash32, indices: list[int]) -> dict[str, Any] | None:
        """Return the call trace at a position of the tree of calls, or null."""
        found = node.transaction_call_traces_json(transaction_hash, TRACE_SIZE_BYTES_MAX)
        traces: list[dict[str, Any]] = [] if found is None else orjson.loads(found)
        return next((trace for trace in traces if trace["traceAddress"] == indices), None)

    @registry.pool("trace_filter", Parameter("filter", _filter))
    def filter_traces(wanted: dict[str, Any]) -> bytes:
        """Return the call traces of a range of blocks that match senders and receivers."""
        first = require_number(node, wanted.get("fromBlock", "earliest"))
        last = require_number(node, wanted.get("toBlock", "latest"))
        if last - first >= FILTER_BLOCK_COUNT_MAX:
            words = f"range of {last - first + 1} blocks, at most {FILTER_BLOCK_COUNT_MAX}"
            raise RpcError(ErrorCode.LIMIT_EXCEEDED, words)
        return node.filtered_call_traces_json(
            first,
            last,
            TRACE_SIZE_BYTES_MAX,
            senders=wanted.get("fromAddress", []),
            receivers=wanted.get("toAddress", []),
            union=wanted.get("mode") == "union",
            skip_count=wanted.get("after", 0),
            count_max=wanted.get("count"),
        )

    @registry.pool("trace_replayTransaction", _HASH, _TYPES)
    def replay_transaction(transaction_hash: Hash32, types: list[str]) -> bytes | None:
        """Return what a mined transaction did, in the kinds of trace asked for, or null."""
        return node.replayed_transaction_json(transaction_hash, types)

    @registry.pool("trace_replayBlockTransactions", _BLOCK, _TYPES)
    def replay_block(block: BlockId, types: list[str]) -> bytes | None:
        """Return what a block's transactions did, in the kinds of trace asked for, or null."""
        reference = reference_of(node, block)
        return None if reference is None else node.replayed_block_json(reference, types, TRACE_SIZE_BYTES_MAX)

    @registry.pool("trace_callMany", Parameter("calls", _calls), _NEWEST)
    def trace_call_many(calls: list[tuple[TransactionFields, list[str]]], block: BlockId) -> bytes:
        """Return what messages do on the state after a block, each on what the last one left."""
        messages = [
            (unsigned_call(fields, chain_id=node.spec.chain_id, gas_max=backend.call_gas_max), types)
            for fields, types in calls
        ]
        return node.replayed_calls_json(messages, require_block(node, block), TRACE_SIZE_BYTES_MAX)

    @registry.pool("trace_rawTransaction", Parameter("transaction", data), _TYPES, _NEWEST)
    def trace_raw_transaction(raw: bytes, types: list[str], block: BlockId) -> bytes:
        """Return what a signed transaction would do on the state after a block; it is not sent."""
        transaction = describe_transaction(decode_transaction(raw))
        if transaction.chain_id not in (None, node.spec.chain_id):
            raise RpcError(ErrorCode.INVALID_INPUT, "invalid chain id for signer")
        return node.replayed_call_json(transaction, require_block(node, block), types)

    @registry.pool(
        "trace_call",
        Parameter("transaction", transaction_arguments),
        _TYPES,
        Parameter("block", block_id, "latest"),
        Parameter("state_overrides", state_overrides, None),
        Parameter("block_overrides", block_overrides, None),
    )
    def trace_call(
        fields: TransactionFields,
        types: list[str],
        block: BlockId,
        state: dict[bytes, AccountOverride] | None,
        environment: BlockOverride | None,
    ) -> bytes:
        """Return what a message does on the state after a block, in the kinds of trace asked for."""
        message = unsigned_call(fields, chain_id=node.spec.chain_id, gas_max=backend.call_gas_max)
        return node.replayed_call_json(message, require_block(node, block), types, state, environment)
