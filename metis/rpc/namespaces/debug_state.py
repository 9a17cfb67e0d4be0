"""Codes by hash, accounts between the transactions of a block. Source: reth ``debug`` namespace."""

from __future__ import annotations

from typing import Any

from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import require_block
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.parameters import BadValue, BlockId, address, block_id, data, hash32, number_or_quantity
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Address, Hash32

__all__ = ["register_debug_state"]

CODE_PREFIX = b"c"
"""Of the keys under which go-ethereum keeps codes (``rawdb.CodePrefix``)."""


def database_key(value: Any) -> Hash32:
    """Read the key of a code in go-ethereum's database: its prefix and the code's hash, as text or as data."""
    key = data(value) if type(value) is str and value[:2] == "0x" else str(value).encode()
    if len(key) != len(CODE_PREFIX) + 32 or not key.startswith(CODE_PREFIX):
        raise BadValue("only codes are found by key: 0x63 and 32 bytes")
    return Hash32(key[len(CODE_PREFIX) :])


def register_debug_state(registry: MethodRegistry, backend: Backend) -> None:
    """Add the debug methods about state."""
    node = backend.node

    @registry.hot("debug_codeByHash", Parameter("hash", hash32), Parameter("block", block_id, "latest"))
    def code_by_hash(code_hash: Hash32, _block: BlockId) -> str | None:
        """Return a code by its hash, or null; codes are never forgotten, so the block does not matter."""
        found = node.code_of_hash(code_hash)
        return None if found is None else hex_data(found)

    @registry.hot("debug_dbGet", Parameter("key", database_key))
    def database_get(code_hash: Hash32) -> str | None:
        """Return the code under a key of go-ethereum's database, or null."""
        return code_by_hash(code_hash, "latest")

    @registry.pool(
        "debug_accountInfoAt",
        Parameter("block", block_id),
        Parameter("transaction_index", number_or_quantity),
        Parameter("address", address),
    )
    def account_info_at(block: BlockId, index: int, account: Address) -> dict[str, str]:
        """Return balance, nonce and code of an account right after a transaction of a block."""
        reference = require_block(node, block)
        count = node.transaction_count(reference) or 0
        if index >= count:
            words = f"tx_index {index} out of bounds for block with {count} transactions"
            raise RpcError(ErrorCode.INVALID_PARAMS, words)
        nonce, balance_wei, code = node.account_within(reference, index + 1, account) or (0, 0, b"")
        return {"balance": hex(balance_wei), "nonce": hex(nonce), "code": hex_data(code)}
