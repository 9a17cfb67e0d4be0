"""
What the block explorer Otterscan asks for, and erigon_getHeaderByNumber, which it asks first.

There is no index of addresses: searches walk blocks and run them again, up to a bound. Source: Otterscan's
``docs/custom-jsonrpc.md``, API level 8; Erigon for shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from metis.engine import Node
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import BlockReference, number_of_tag, reference_of, require_block
from metis.rpc.namespaces.debug_trace import TRACE_SIZE_BYTES_MAX
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.parameters import (
    BlockByHash,
    BlockId,
    address,
    block_id,
    block_number_or_tag,
    hash32,
    number_or_quantity,
)
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Address, BlockNumber, Hash32

__all__ = ["register_otterscan"]

API_LEVEL = 8
PAGE_SIZE_MAX = 250
SEARCH_BLOCK_COUNT_MAX = 10_000
"""Blocks that one search runs again; then it answers with what it found."""

_CALL_TRACER = b'{"tracer":"callTracer"}'
_SELECTOR_TEXT_SIZE = 10


def _height_or_tag(value: Any) -> BlockNumber | str:
    """Read a height, which Otterscan writes as a JSON number, or a tag."""
    return BlockNumber(number_or_quantity(value)) if type(value) is int else block_number_or_tag(value)


_HASH = Parameter("hash", hash32)
_ADDRESS = Parameter("address", address)
_NUMBER = Parameter("number", _height_or_tag)
_SEARCH_BLOCK = Parameter("block_number", number_or_quantity)
_PAGE_SIZE = Parameter("page_size", number_or_quantity)

Json = dict[str, Any]


def register_otterscan(registry: MethodRegistry, backend: Backend) -> None:
    """Add the ots_* methods and erigon_getHeaderByNumber."""
    node = backend.node

    def height(number: BlockNumber | str) -> int:
        return number_of_tag(node, number) if isinstance(number, str) else int(number)

    @registry.hot("ots_getApiLevel")
    def api_level() -> int:
        """Return the version of Otterscan's interface."""
        return API_LEVEL

    @registry.hot("erigon_getHeaderByNumber", _NUMBER)
    def header_by_number(number: BlockNumber | str) -> bytes | None:
        """Return a block's header, or null."""
        return node.header_json(height(number))

    @registry.hot("ots_hasCode", _ADDRESS, Parameter("block", block_id, "latest"))
    def has_code(account: Address, block: BlockId) -> bool:
        """Whether an account has code after a block."""
        return bool(node.code(account, require_block(node, block)))

    @registry.pool("ots_getInternalOperations", _HASH)
    def internal_operations(transaction_hash: Hash32) -> bytes | None:
        """Return transfers, creations and self-destructions inside a transaction, or null."""
        return node.internal_operations_json(transaction_hash)

    @registry.pool("ots_traceTransaction", _HASH)
    def trace_transaction(transaction_hash: Hash32) -> list[Json] | None:
        """Return the calls of a transaction in the order in which they began, or null."""
        root = _call_frame(node, transaction_hash)
        return None if root is None else [_trace_entry(depth, frame) for depth, frame in _walk(root)]

    @registry.pool("ots_getTransactionError", _HASH)
    def transaction_error(transaction_hash: Hash32) -> str | None:
        """Return the revert data of a transaction; empty where it succeeded, null where there is none."""
        root = _call_frame(node, transaction_hash)
        if root is None:
            return None
        return str(root.get("output", "0x")) if "error" in root else "0x"

    @registry.pool("ots_getBlockDetails", _NUMBER)
    def block_details(number: BlockNumber | str) -> Json | None:
        """Return a block without its transactions, with their count and fees, or null."""
        return _block_details(node, height(number))

    @registry.pool("ots_getBlockDetailsByHash", _HASH)
    def block_details_by_hash(block_hash: Hash32) -> Json | None:
        """Return a block without its transactions, with their count and fees, or null."""
        reference = reference_of(node, BlockByHash(block_hash))
        return None if reference is None else _block_details(node, reference)

    @registry.pool("ots_getBlockTransactions", _NUMBER, Parameter("page", number_or_quantity), _PAGE_SIZE)
    def block_transactions(number: BlockNumber | str, page: int, page_size: int) -> Json | None:
        """Return a page of a block's transactions with their receipts, both without their long parts, or null."""
        found = _block_and_receipts(node, height(number))
        if found is None:
            return None
        block, receipts = found
        size = _page_size(page_size)
        chosen = slice(page * size, (page + 1) * size)
        count = len(block["transactions"])
        transactions = [
            transaction | {"input": transaction["input"][:_SELECTOR_TEXT_SIZE]}
            for transaction in block["transactions"][chosen]
        ]
        shown = [receipt | {"logs": None, "logsBloom": None} for receipt in receipts[chosen]]
        return {"fullblock": block | {"transactions": transactions, "transactionCount": count}, "receipts": shown}

    @registry.pool("ots_getTransactionBySenderAndNonce", _ADDRESS, Parameter("nonce", number_or_quantity))
    def by_sender_and_nonce(sender: Address, nonce: int) -> str | None:
        """Return the hash of the transaction that used up a nonce, or null."""
        number = _first_block(node, lambda block: node.nonce(sender, block) > nonce)
        block = None if number is None else _block_and_receipts(node, number)
        wanted = (hex_data(sender), hex(nonce))
        transactions = [] if block is None else block[0]["transactions"]
        return next((one["hash"] for one in transactions if (one["from"].lower(), one["nonce"]) == wanted), None)

    @registry.pool("ots_getContractCreator", _ADDRESS)
    def contract_creator(contract: Address) -> Json | None:
        """Return the transaction and account that created a contract, or null."""
        number = _first_block(node, lambda block: bool(node.code(contract, block)))
        if not number:
            return None
        wanted = hex_data(contract)
        for trace in _call_traces(node, number):
            if trace["type"] == "create" and ((trace.get("result") or {}).get("address") or "").lower() == wanted:
                return {"hash": trace["transactionHash"], "creator": trace["action"]["from"]}
        return None

    @registry.pool("ots_searchTransactionsBefore", _ADDRESS, _SEARCH_BLOCK, _PAGE_SIZE)
    def search_before(account: Address, block_number: int, page_size: int) -> Json:
        """Return transactions that touch an account, newest first, from below a block on (0: from the head)."""
        newest = min(block_number - 1, node.head_number) if block_number else node.head_number
        found, is_last = _search(node, account, range(newest, -1, -1), _page_size(page_size))
        return _search_page(found, first_page=not block_number, last_page=is_last)

    @registry.pool("ots_searchTransactionsAfter", _ADDRESS, _SEARCH_BLOCK, _PAGE_SIZE)
    def search_after(account: Address, block_number: int, page_size: int) -> Json:
        """Return transactions that touch an account, from above a block on, newest first within the page."""
        oldest = block_number + 1 if block_number else 0
        found, is_last = _search(node, account, range(oldest, node.head_number + 1), _page_size(page_size))
        return _search_page(list(reversed(found)), first_page=is_last, last_page=not block_number)


def _page_size(given: int) -> int:
    if not 0 < given <= PAGE_SIZE_MAX:
        raise RpcError(ErrorCode.INVALID_PARAMS, f"page size {given}, must be 1 to {PAGE_SIZE_MAX}")
    return given


def _call_frame(node: Node, transaction_hash: bytes) -> Json | None:
    text = node.trace_transaction_json(transaction_hash, _CALL_TRACER, TRACE_SIZE_BYTES_MAX)
    return None if text is None else orjson.loads(text)


def _walk(root: Json) -> Iterator[tuple[int, Json]]:
    """Yield every frame with its depth, callers before callees."""
    waiting = [(0, root)]
    while waiting:
        depth, frame = waiting.pop()
        yield depth, frame
        waiting += [(depth + 1, call) for call in reversed(frame.get("calls", []))]


def _trace_entry(depth: int, frame: Json) -> Json:
    moves_value = frame["type"] not in ("DELEGATECALL", "STATICCALL")
    return {
        "type": frame["type"],
        "depth": depth,
        "from": frame["from"],
        "to": frame.get("to"),
        "value": frame.get("value", "0x0") if moves_value else None,
        "input": frame["input"],
        "output": frame.get("output", "0x"),
    }


def _block_and_receipts(node: Node, block: BlockReference) -> tuple[Json, list[Json]] | None:
    text, receipts = node.block_json(block, full=True), node.block_receipts_json(block)
    return None if text is None or receipts is None else (orjson.loads(text), orjson.loads(receipts))


def _block_details(node: Node, block: BlockReference) -> Json | None:
    found = _block_and_receipts(node, block)
    if found is None:
        return None
    shown, receipts = found
    fees_wei = sum(int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16) for receipt in receipts)
    count = len(shown.pop("transactions"))
    # Nothing is issued since proof of stake; what earlier blocks issued is not told.
    issuance = {"blockReward": "0x0", "uncleReward": "0x0", "issuance": "0x0"}
    block_shown = shown | {"logsBloom": None, "transactionCount": count}
    return {"block": block_shown, "issuance": issuance, "totalFees": hex(fees_wei)}


def _first_block(node: Node, holds: Any) -> int | None:
    """
    Find the first block after which something holds that never ceases to, by halving.

    Returns None where it does not hold at the head. Raises RpcError where it already held at the oldest state kept.
    """
    oldest, newest = node.oldest_state_number, node.head_number
    if not holds(newest):
        return None
    if holds(oldest):
        if oldest == 0:
            return 0
        raise RpcError(ErrorCode.RESOURCE_NOT_FOUND, f"states before block {oldest} are not kept")
    while newest - oldest > 1:
        middle = (oldest + newest) // 2
        oldest, newest = (oldest, middle) if holds(middle) else (middle, newest)
    return newest


def _call_traces(node: Node, number: int) -> list[Json]:
    text = node.call_traces_json(number, TRACE_SIZE_BYTES_MAX)
    return [] if text is None else orjson.loads(text)


def _search(node: Node, account: bytes, numbers: Iterable[int], page_size: int) -> tuple[list[tuple[Json, Json]], bool]:
    """
    Collect transactions, with their receipts, that touch an account, block by block.

    Returns
    -------
    At least a page where there are so many, whole blocks always; and whether the search reached its end.
    """
    needle = hex_data(account).encode()
    found: list[tuple[Json, Json]] = []
    for visited, number in enumerate(numbers):
        if len(found) >= page_size or visited == SEARCH_BLOCK_COUNT_MAX:
            return found, False
        text = node.call_traces_json(number, TRACE_SIZE_BYTES_MAX)
        if text is None or needle not in text.lower():
            continue
        touching = {trace["transactionHash"] for trace in orjson.loads(text) if hex_data(account) in _parties(trace)}
        block = _block_and_receipts(node, number)
        if block is None or not touching:
            continue
        timestamp = block[0]["timestamp"]
        for transaction, receipt in zip(block[0]["transactions"], block[1], strict=True):
            if transaction["hash"] in touching:
                found.append((transaction, receipt | {"timestamp": timestamp}))
    return found, True


def _parties(trace: Json) -> set[str]:
    """Accounts that a call trace is about."""
    action, result = trace["action"], trace.get("result") or {}
    named = [action.get(name) for name in ("from", "to", "address", "refundAddress")] + [result.get("address")]
    return {name.lower() for name in named if name}


def _search_page(found: list[tuple[Json, Json]], *, first_page: bool, last_page: bool) -> Json:
    return {
        "txs": [transaction for transaction, _ in found],
        "receipts": [receipt for _, receipt in found],
        "firstPage": first_page,
        "lastPage": last_page,
    }
