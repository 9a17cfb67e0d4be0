"""
Which node answers: questions about blocks up to the fork block go upstream, the others to the engine.

In: a method with its parameters, raw and parsed. Out: the answer of one of the two nodes, or of both
joined. Invariant: nothing that happened upstream after the fork block is ever told. Cost: a round trip
for what the cache does not have; nothing for questions about the fork's own blocks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import orjson

from metis.engine import Node
from metis.node.fork.client import AnswerError
from metis.node.fork.service import ForkService
from metis.rpc.errors import RpcError
from metis.rpc.namespaces.blocks import number_of_tag
from metis.rpc.parameters import BlockByHash

__all__ = ["ROUTES", "Given", "Local", "Question", "Route"]

Local = Callable[[Sequence[Any]], Awaitable[Any]]
"""Asks the engine's node; takes parsed arguments."""


@dataclass(frozen=True, slots=True)
class Given:
    """An argument: ``raw`` as it was sent (None where it was not), ``value`` parsed or the default."""

    raw: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Question:
    """A call of a method on a fork."""

    method: str
    arguments: tuple[Given, ...]
    fork: ForkService
    node: Node
    local: Local

    async def ask_local(self) -> Any:
        """Have the engine's node answer."""
        return await self.local([given.value for given in self.arguments])

    async def ask_upstream(self, **changed: Any) -> Any:
        """Have the upstream node answer; ``changed``: parameters by "p" and position, instead of those given."""
        params = [given.raw for given in self.arguments]
        for position, value in changed.items():
            params[int(position[1:])] = value
        while params and params[-1] is None:
            params.pop()
        return await ask(self.fork, self.method, params)

    async def height(self, block: Any) -> int | None:
        """Height of a block parameter; None where neither node knows the block, or only as a later one."""
        if isinstance(block, BlockByHash):
            block = block.hash
        if isinstance(block, bytes):
            number = self.node.number_of(block)
            if number is not None:
                return number
            if self.node.is_known(block):
                return self.fork.block_number + 1  # beside the fork's own chain
            found = await ask(self.fork, "eth_getBlockByHash", [f"0x{block.hex()}", False])
            return self._if_before(found, "number")
        if block is None:
            return self.node.head_number
        return number_of_tag(self.node, block) if isinstance(block, str) else int(block)

    async def transaction_height(self, transaction_hash: bytes) -> int | None:
        """Height of a transaction that the fork's own chain does not have; None where it is none before the fork."""
        found = await ask(self.fork, "eth_getTransactionByHash", [f"0x{transaction_hash.hex()}"])
        return self._if_before(found, "blockNumber")

    def _if_before(self, found: Any, field: str) -> int | None:
        value = found.get(field) if isinstance(found, dict) else None
        try:
            number = int(value, 16) if isinstance(value, str) else None
        except ValueError:
            return None
        return number if number is not None and number <= self.fork.block_number else None


Route = Callable[[Question], Awaitable[Any]]


async def ask(fork: ForkService, method: str, params: Sequence[Any]) -> Any:
    """Ask upstream; its error becomes ours, unchanged."""
    try:
        return await fork.upstream.ask(method, params)
    except AnswerError as problem:
        raise RpcError(problem.code, problem.message, problem.data) from problem


def _state(position: int) -> Route:
    """Route a question about the state after a block: the fork block's state is here."""

    async def route(question: Question) -> Any:
        height = await question.height(question.arguments[position].value)
        if height is None or height >= question.fork.block_number:
            return await question.ask_local()
        return await question.ask_upstream(**{f"p{position}": hex(height)})

    return route


def _block(position: int) -> Route:
    """Route a question about a block itself: the fork block's transactions are upstream."""

    async def route(question: Question) -> Any:
        given = question.arguments[position]
        if given.value == "pending":
            return await question.ask_local()
        height = await question.height(given.value)
        if height is None or height > question.fork.block_number:
            return await question.ask_local()
        raw = given.raw
        by_hash = isinstance(given.value, bytes)
        return await question.ask_upstream(**{f"p{position}": raw if by_hash else hex(height)})

    return route


async def _transaction(question: Question) -> Any:
    """Route a question about a transaction: mined or waiting here, or mined upstream before the fork."""
    transaction_hash = question.arguments[0].value
    if question.node.transaction_json(transaction_hash) is not None:
        return await question.ask_local()
    if await question.transaction_height(transaction_hash) is None:
        return await question.ask_local()
    return await question.ask_upstream()


def _proof(position: int) -> Route:
    """Route a question about the state trie: only upstream has one, and only the fork block's fits an account."""

    async def route(question: Question) -> Any:
        fork = question.fork.block_number
        height = await question.height(question.arguments[position].value)
        address = question.arguments[0].value
        if height is None or height > fork or (height == fork and question.node.is_changed(address, fork)):
            return await question.ask_local()
        return await question.ask_upstream(**{f"p{position}": hex(height)})

    return route


async def _logs(question: Question) -> Any:
    """Join the logs of a range that begins before the fork and ends after it."""
    given, fork = question.arguments[0], question.fork.block_number
    wish = given.value
    if wish.block_hash is not None:
        height = await question.height(wish.block_hash)
        upstream = height is not None and height <= fork
        return await (question.ask_upstream() if upstream else question.ask_local())
    begin = await question.height(wish.from_block)
    end = await question.height(wish.to_block)
    if begin is None or begin > fork or (end is not None and end < begin):
        return await question.ask_local()
    last = fork if end is None else min(end, fork)
    raw = {key: value for key, value in (given.raw or {}).items() if key not in ("fromBlock", "toBlock")}
    older = await question.ask_upstream(p0=raw | {"fromBlock": hex(begin), "toBlock": hex(last)})
    if end is not None and end <= fork:
        return older
    newer = await question.local([replace(wish, from_block=fork + 1, to_block=end)])
    return [*older, *(orjson.loads(newer) if isinstance(newer, bytes) else newer)]


async def _call_many(question: Question) -> Any:
    """Route messages by the block that their context names."""
    given = question.arguments[1]
    height = await question.height(given.value.get("blockNumber", "latest"))
    if height is None or height >= question.fork.block_number:
        return await question.ask_local()
    return await question.ask_upstream(p1=given.raw | {"blockNumber": hex(height)})


async def _code(question: Question) -> Any:
    """Look for a code here, where it is once an account with it was asked for, and then upstream."""
    return await question.ask_local() or await question.ask_upstream()


async def _fee_history(question: Question) -> Any:
    """Join the fees of blocks before the fork and after it."""
    count, newest, percentiles = (given.value for given in question.arguments)
    fork = question.fork.block_number
    head = await question.height(newest)
    if head is None or count == 0 or head - count >= fork or head > question.node.head_number:
        return await question.ask_local()
    older_count = min(count - max(0, head - fork), fork + 1)
    older = await question.ask_upstream(p0=hex(older_count), p1=hex(min(head, fork)))
    if head <= fork:
        return older
    newer = await question.local([head - fork, newest, percentiles])
    joined = dict(older)
    for field in ("gasUsedRatio", "blobGasUsedRatio", "reward"):
        if field in older and newer.get(field) is not None:
            joined[field] = [*older[field], *newer[field]]
    for field in ("baseFeePerGas", "baseFeePerBlobGas"):
        if field in older and field in newer:
            # The last one is of the block after, which is the first of the newer ones.
            joined[field] = [*older[field][:-1], *newer[field]]
    return joined


ROUTES: MappingProxyType[str, Route] = MappingProxyType(
    {
        "eth_getBalance": _state(1),
        "eth_getTransactionCount": _state(1),
        "eth_getCode": _state(1),
        "eth_getStorageAt": _state(2),
        "eth_getStorageValues": _state(1),
        "eth_getAccountInfo": _state(1),
        "eth_call": _state(1),
        "eth_estimateGas": _state(1),
        "eth_createAccessList": _state(1),
        "eth_simulateV1": _state(1),
        "debug_traceCall": _state(1),
        "trace_call": _state(2),
        "trace_callMany": _state(1),
        "trace_rawTransaction": _state(2),
        "eth_callMany": _call_many,
        "debug_codeByHash": _code,
        "debug_dbGet": _code,
        "ots_hasCode": _state(1),
        "eth_getProof": _proof(2),
        "eth_getAccount": _proof(1),
        "eth_getBlockByNumber": _block(0),
        "eth_getBlockByHash": _block(0),
        "eth_getHeaderByNumber": _block(0),
        "eth_getHeaderByHash": _block(0),
        "eth_getBlockReceipts": _block(0),
        "eth_getBlockTransactionCountByNumber": _block(0),
        "eth_getBlockTransactionCountByHash": _block(0),
        "eth_getUncleCountByBlockNumber": _block(0),
        "eth_getUncleCountByBlockHash": _block(0),
        "eth_getUncleByBlockNumberAndIndex": _block(0),
        "eth_getUncleByBlockHashAndIndex": _block(0),
        "eth_getTransactionByBlockHashAndIndex": _block(0),
        "eth_getTransactionByBlockNumberAndIndex": _block(0),
        "eth_getRawTransactionByBlockHashAndIndex": _block(0),
        "eth_getRawTransactionByBlockNumberAndIndex": _block(0),
        "debug_getRawBlock": _block(0),
        "debug_getRawHeader": _block(0),
        "debug_getRawReceipts": _block(0),
        "debug_getRawTransactions": _block(0),
        "debug_accountInfoAt": _block(0),
        "debug_traceBlockByNumber": _block(0),
        "debug_traceBlockByHash": _block(0),
        "trace_block": _block(0),
        "trace_replayBlockTransactions": _block(0),
        "erigon_getHeaderByNumber": _block(0),
        "ots_getBlockDetails": _block(0),
        "ots_getBlockDetailsByHash": _block(0),
        "ots_getBlockTransactions": _block(0),
        "eth_getTransactionByHash": _transaction,
        "eth_getTransactionReceipt": _transaction,
        "eth_getRawTransactionByHash": _transaction,
        "debug_getRawTransaction": _transaction,
        "debug_traceTransaction": _transaction,
        "trace_get": _transaction,
        "trace_replayTransaction": _transaction,
        "trace_transaction": _transaction,
        "ots_traceTransaction": _transaction,
        "ots_getInternalOperations": _transaction,
        "ots_getTransactionError": _transaction,
        "eth_getLogs": _logs,
        "eth_feeHistory": _fee_history,
    }
)
"""By method; those that are not here are answered by the engine's node alone."""
