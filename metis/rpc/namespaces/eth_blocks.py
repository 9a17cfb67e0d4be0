"""Blocks and what is in them, and where the chain stands."""

from __future__ import annotations

from typing import Any

import orjson

from metis.engine import Node
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import BlockReference, number_of_tag, reference_of
from metis.rpc.namespaces.encoding import hex_data, json_or_null
from metis.rpc.parameters import BlockId, block_id, block_number_or_tag, boolean, hash32, quantity_of
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import BlockNumber, Hash32

__all__ = ["register_blocks"]

_HASH = Parameter("hash", hash32)
_NUMBER = Parameter("number", block_number_or_tag)
_INDEX = Parameter("index", quantity_of(64))
_FULL = Parameter("full", boolean, default=False)


def register_blocks(registry: MethodRegistry, backend: Backend) -> None:
    """Add the methods that read blocks."""
    node = backend.node

    @registry.hot("eth_blockNumber")
    def block_number() -> str:
        """Height of the newest block."""
        return hex(node.head_number)

    @registry.hot("eth_getBlockByNumber", _NUMBER, _FULL)
    def get_block_by_number(number: BlockNumber | str, full: bool) -> bytes | None:  # noqa: FBT001 - as in params
        """Return a block of the canonical chain, or null; "pending" is the block that would be built now."""
        if number == "pending":
            return pending_block_json(node, full=full)
        return node.block_json(_height(node, number), full)

    @registry.hot("eth_getBlockByHash", _HASH, _FULL)
    def get_block_by_hash(block_hash: Hash32, full: bool) -> bytes | None:  # noqa: FBT001 - as in params
        """Return a block, or null."""
        return node.block_json(block_hash, full)

    @registry.hot("eth_getHeaderByNumber", _NUMBER)
    def get_header_by_number(number: BlockNumber | str) -> bytes | None:
        """Return a block's header, or null."""
        return node.header_json(_height(node, number))

    @registry.hot("eth_getHeaderByHash", _HASH)
    def get_header_by_hash(block_hash: Hash32) -> bytes | None:
        """Return a block's header, or null."""
        return node.header_json(block_hash)

    @registry.hot("eth_getBlockReceipts", Parameter("block", block_id))
    def get_block_receipts(block: BlockId) -> bytes | None:
        """Return the receipts of a block, or null."""
        reference = reference_of(node, block)
        return None if reference is None else node.block_receipts_json(reference)

    @registry.hot("eth_getBlockTransactionCountByNumber", _NUMBER)
    def transaction_count_by_number(number: BlockNumber | str) -> str | None:
        """How many transactions a block has, or null."""
        if number == "pending":
            return hex(node.pool_status()[0])
        return _count(node.transaction_count(_height(node, number)))

    @registry.hot("eth_getBlockTransactionCountByHash", _HASH)
    def transaction_count_by_hash(block_hash: Hash32) -> str | None:
        """How many transactions a block has, or null."""
        return _count(node.transaction_count(block_hash))

    @registry.hot("eth_getUncleCountByBlockNumber", _NUMBER)
    def uncle_count_by_number(number: BlockNumber | str) -> str | None:
        """How many uncles a block names, or null; none since the merge."""
        return _count(node.uncle_count(_height(node, number)))

    @registry.hot("eth_getUncleCountByBlockHash", _HASH)
    def uncle_count_by_hash(block_hash: Hash32) -> str | None:
        """How many uncles a block names, or null; none since the merge."""
        return _count(node.uncle_count(block_hash))

    @registry.hot("eth_getUncleByBlockNumberAndIndex", _NUMBER, _INDEX)
    def uncle_by_number(number: BlockNumber | str, index: int) -> bytes | None:
        """Return an uncle's header, or null."""
        return _uncle(node, _height(node, number), index)

    @registry.hot("eth_getUncleByBlockHashAndIndex", _HASH, _INDEX)
    def uncle_by_hash(block_hash: Hash32, index: int) -> bytes | None:
        """Return an uncle's header, or null."""
        return _uncle(node, block_hash, index)


def _height(node: Node, number: BlockNumber | str) -> int:
    return number_of_tag(node, number) if isinstance(number, str) else int(number)


def _count(count: int | None) -> str | None:
    return None if count is None else hex(count)


def _uncle(node: Node, block: BlockReference, index: int) -> bytes | None:
    """Look an uncle up by its hash: it is known only where it was imported as a side block itself."""
    handle = node.block(block)
    if handle is None:
        return None
    hashes = handle.body_fields()["ommer_hashes"]
    return node.header_json(hashes[index]) if index < len(hashes) else None


def pending_block_json(node: Node, *, full: bool) -> bytes | None:
    """
    Write the block that would be built now: on the head, with the pool's executable transactions.

    It has no hash, nonce, or roots, for nothing was executed.
    """
    head = node.block(node.head_number)
    header_json = node.header_json(node.head_number)
    if head is None or header_json is None:
        return None
    header: dict[str, Any] = orjson.loads(header_json)
    timestamp_s = int(header["timestamp"], 16) + 1
    base_fee_wei = node.spec.next_base_fee_wei(head, timestamp_s)
    excess = node.spec.next_excess_blob_gas(head, timestamp_s)
    hashes = node.pending_hashes()
    transactions: list[Any] = [hex_data(transaction_hash) for transaction_hash in hashes]
    if full:
        transactions = [orjson.Fragment(json_or_null(node.transaction_json(found))) for found in hashes]
    header |= {
        "number": hex(node.head_number + 1),
        "parentHash": hex_data(node.head_hash),
        "timestamp": hex(timestamp_s),
        "gasUsed": "0x0",
        "logsBloom": hex_data(bytes(256)),
        "hash": None,
        "nonce": None,
        "miner": None,
        "transactions": transactions,
        "uncles": [],
    }
    if base_fee_wei is not None:
        header["baseFeePerGas"] = hex(base_fee_wei)
    if excess is not None:
        header |= {"excessBlobGas": hex(excess), "blobGasUsed": "0x0"}
    if "withdrawalsRoot" in header:
        header["withdrawals"] = []
    return orjson.dumps(header)
