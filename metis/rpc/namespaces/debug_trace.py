"""
Traces of go-ethereum's tracers: what blocks, transactions and calls do inside.

structLog (without a tracer's name), callTracer, flatCallTracer, prestateTracer, 4byteTracer, muxTracer and
noopTracer; JavaScript is not run. Source: go-ethereum ``eth/tracers/api.go``, execution-apis ``debug_trace*``.
"""

from __future__ import annotations

from typing import Any

import orjson

from metis.engine import decode_block
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import number_of_tag, reference_of, require_block
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.overrides import AccountOverride, BlockOverride, block_overrides, state_overrides
from metis.rpc.namespaces.transaction_arguments import TransactionFields, transaction_arguments, unsigned_call
from metis.rpc.parameters import (
    BadValue,
    BlockByHash,
    BlockId,
    block_id,
    block_number_or_tag,
    data,
    hash32,
    object_of,
    quantity_of,
)
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import BlockNumber, Hash32

__all__ = ["TRACE_SIZE_BYTES_MAX", "register_debug_traces"]

TRACE_SIZE_BYTES_MAX = 64 * 1024 * 1024
"""Most text of one answer; the server's own limit on answers is no larger."""

_OVERRIDES = object_of(
    {"stateOverrides": state_overrides, "blockOverrides": block_overrides, "txIndex": quantity_of(64)}
)


def trace_options(value: Any) -> bytes:
    """Hand the options on to the engine, which knows its tracers."""
    if type(value) is not dict:
        raise BadValue("expected an object")
    return orjson.dumps({name: member for name, member in value.items() if member is not None})


def call_options(value: Any) -> tuple[bytes, dict[str, Any]]:
    """Split the options of debug_traceCall: the tracer's, and what the call assumes."""
    assumed = _OVERRIDES(value)
    return trace_options({name: member for name, member in value.items() if name not in assumed}), assumed


NO_TRANSACTION = bytes(32)
_HASH = Parameter("hash", hash32)
_OPTIONS = Parameter("options", trace_options, b"{}")


def register_debug_traces(registry: MethodRegistry, backend: Backend) -> None:
    """Add the debug_trace* methods."""
    node = backend.node

    def trace_block(block: BlockId, options: bytes) -> bytes:
        reference = reference_of(node, block)
        if reference == 0 or reference == node.genesis_hash:
            raise RpcError(ErrorCode.INVALID_INPUT, "genesis is not traceable")
        found = None if reference is None else node.trace_block_json(reference, options, TRACE_SIZE_BYTES_MAX)
        if found is None:
            name = hex_data(block.hash) if isinstance(block, BlockByHash) else f"#{_height(block)}"
            raise RpcError(ErrorCode.INVALID_INPUT, f"block {name} not found")
        return found

    def _height(block: BlockNumber | str) -> int:
        return number_of_tag(node, block) if isinstance(block, str) else int(block)

    @registry.pool("debug_traceBlockByNumber", Parameter("number", block_number_or_tag), _OPTIONS)
    def trace_block_by_number(number: BlockNumber | str, options: bytes) -> bytes:
        """Return the traces of a block's transactions."""
        return trace_block(number, options)

    @registry.pool("debug_traceBlockByHash", _HASH, _OPTIONS)
    def trace_block_by_hash(block_hash: Hash32, options: bytes) -> bytes:
        """Return the traces of a block's transactions."""
        return trace_block(BlockByHash(block_hash), options)

    @registry.pool("debug_traceBlock", Parameter("block", data), _OPTIONS)
    def trace_given_block(rlp: bytes, options: bytes) -> bytes:
        """Return the traces of the transactions of a block given as RLP; its parent must be known."""
        return node.trace_given_block_json(decode_block(rlp), options, TRACE_SIZE_BYTES_MAX)

    @registry.pool("debug_traceTransaction", _HASH, _OPTIONS)
    def trace_transaction(transaction_hash: Hash32, options: bytes) -> bytes | None:
        """Return the trace of a mined transaction."""
        if transaction_hash == NO_TRANSACTION:
            # DEVIATES from geth, which answers an error: titanoboa asks so whether there are tracers.
            return None
        found = node.trace_transaction_json(transaction_hash, options, TRACE_SIZE_BYTES_MAX)
        if found is None:
            raise RpcError(ErrorCode.INVALID_INPUT, "transaction not found")
        return found

    @registry.pool(
        "debug_traceCall",
        Parameter("transaction", transaction_arguments),
        Parameter("block", block_id, "latest"),
        Parameter("options", call_options, (b"{}", {})),
    )
    def trace_call(fields: TransactionFields, block: BlockId, options: tuple[bytes, dict[str, Any]]) -> bytes:
        """Return the trace of a message on the state after a block; nothing is kept."""
        tracer, assumed = options
        message = unsigned_call(fields, chain_id=node.spec.chain_id, gas_max=backend.call_gas_max)
        state: dict[bytes, AccountOverride] | None = assumed.get("stateOverrides")
        environment: BlockOverride | None = assumed.get("blockOverrides")
        return node.trace_call_json(
            message,
            require_block(node, block),
            tracer,
            TRACE_SIZE_BYTES_MAX,
            state,
            environment,
            assumed.get("txIndex"),
        )
