"""Blocks, headers, receipts and transactions as they are encoded for other nodes."""

from __future__ import annotations

from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import BlockReference, reference_of
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.rlp import first_item
from metis.rpc.parameters import BlockId, block_id, hash32
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Hash32

__all__ = ["register_debug_raw"]

_BLOCK = Parameter("block", block_id)


def register_debug_raw(registry: MethodRegistry, backend: Backend) -> None:
    """Add the debug_getRaw* methods."""
    node = backend.node

    def reference(block: BlockId) -> BlockReference:
        found = reference_of(node, block)
        if found is None:
            raise RpcError(ErrorCode.INVALID_INPUT, "block not found")
        return found

    def block_rlp(block: BlockId) -> bytes:
        handle = node.block(reference(block))
        if handle is None:
            raise RpcError(ErrorCode.INVALID_INPUT, "block not found")
        return handle.rlp

    @registry.hot("debug_getRawBlock", _BLOCK)
    def get_raw_block(block: BlockId) -> str:
        """Return a block's RLP."""
        return hex_data(block_rlp(block))

    @registry.hot("debug_getRawHeader", _BLOCK)
    def get_raw_header(block: BlockId) -> str:
        """Return a header's RLP."""
        return hex_data(first_item(block_rlp(block)))

    @registry.hot("debug_getRawReceipts", _BLOCK)
    def get_raw_receipts(block: BlockId) -> list[str]:
        """Return the EIP-2718 encodings of a block's receipts."""
        receipts = node.raw_receipts(reference(block))
        if receipts is None:
            raise RpcError(ErrorCode.INVALID_INPUT, "block not found")
        return [hex_data(receipt) for receipt in receipts]

    @registry.hot("debug_getRawTransactions", _BLOCK)
    def get_raw_transactions(block: BlockId) -> list[str]:
        """Return the EIP-2718 encodings of a block's transactions."""
        handle = node.block(reference(block))
        if handle is None:
            raise RpcError(ErrorCode.INVALID_INPUT, "block not found")
        return [hex_data(transaction.raw) for transaction in handle.body_fields()["transactions"]]

    @registry.hot("debug_getRawTransaction", Parameter("hash", hash32))
    def get_raw_transaction(transaction_hash: Hash32) -> str:
        """Return a transaction as it was sent; empty where there is none, as in geth."""
        return hex_data(node.raw_transaction(transaction_hash) or b"")
