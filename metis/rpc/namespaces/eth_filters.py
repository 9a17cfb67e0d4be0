"""
Logs, and filters that clients poll.

A filter is a wish and a position in the record of what happened: nothing is copied for it when a
block comes. Filters that nobody polls for five minutes are dropped, as in geth.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from metis.engine import Node
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.limits import LogLimits
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import number_of_tag
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.log_filter import LogFilter, log_filter
from metis.rpc.parameters import any_json, quantity
from metis.rpc.registry import MethodRegistry, Parameter
from metis.rpc.runs import OnPool
from metis.types import BlockNumber

__all__ = ["register_filters"]

FILTER_COUNT_MAX = 1_024
FILTER_IDLE_S_MAX = 300.0


class _Kind(Enum):
    BLOCKS = "blocks"
    PENDING = "pending transactions"
    LOGS = "logs"


@dataclass(slots=True)
class _Filter:
    kind: _Kind
    position: int
    polled_s: float
    wish: LogFilter = LogFilter()  # noqa: RUF009 - it is immutable


class _Filters:
    """The filters of all clients, by id. Written on the event loop's thread."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._filters: dict[int, _Filter] = {}

    def add(self, kind: _Kind, position: int, wish: LogFilter | None = None) -> str:
        """Add a filter and return its id."""
        now_s = self._clock_s()
        idle = [key for key, found in self._filters.items() if now_s - found.polled_s > FILTER_IDLE_S_MAX]
        for key in idle:
            del self._filters[key]
        if len(self._filters) >= FILTER_COUNT_MAX:
            raise RpcError(ErrorCode.LIMIT_EXCEEDED, f"too many filters: at most {FILTER_COUNT_MAX}")
        key = int.from_bytes(os.urandom(16), "big") | 1 << 127  # 128 bits without leading zeros
        self._filters[key] = _Filter(kind, position, now_s, wish or LogFilter())
        return hex(key)

    def find(self, key: int) -> _Filter:
        """Return a filter; raises RpcError where there is none."""
        found = self._filters.get(key)
        now_s = self._clock_s()
        if found is None or now_s - found.polled_s > FILTER_IDLE_S_MAX:
            self._filters.pop(key, None)
            raise RpcError(ErrorCode.INVALID_INPUT, "filter not found")
        found.polled_s = now_s
        return found

    def remove(self, key: int) -> bool:
        """Drop a filter; whether there was one."""
        return self._filters.pop(key, None) is not None


def register_filters(
    registry: MethodRegistry,
    backend: Backend,
    limits: LogLimits | None = None,
    clock_s: Callable[[], float] = time.monotonic,
) -> None:
    """Add eth_getLogs and the filters."""
    node, happenings = backend.node, backend.happenings
    bounds = limits or LogLimits()
    filters = _Filters(clock_s)
    key = Parameter("filter", quantity)

    @registry.pool("eth_getLogs", Parameter("filter", log_filter))
    def get_logs(wish: LogFilter) -> bytes:
        """Return the logs of a range of blocks, or of one block by its hash."""
        return logs_of(node, wish, bounds)

    @registry.hot("eth_newFilter", Parameter("filter", log_filter, LogFilter()))
    def new_filter(wish: LogFilter) -> str:
        """Begin to collect logs; answers the filter's id."""
        return filters.add(_Kind.LOGS, happenings.heads.end, wish)

    @registry.hot("eth_newBlockFilter")
    def new_block_filter() -> str:
        """Begin to collect hashes of new blocks; answers the filter's id."""
        return filters.add(_Kind.BLOCKS, happenings.heads.end)

    @registry.hot("eth_newPendingTransactionFilter", Parameter("full", any_json, None))
    def new_pending_filter(_full: Any) -> str:
        """Begin to collect hashes of transactions that enter the pool; answers the filter's id."""
        return filters.add(_Kind.PENDING, happenings.pending.end)

    @registry.hot("eth_getFilterChanges", key)
    def get_filter_changes(filter_key: int) -> list[str] | OnPool:
        """Return what came since the last time."""
        found = filters.find(filter_key)
        position = found.position
        if found.kind is _Kind.PENDING:
            found.position = happenings.pending.end
            return [hex_data(entry) for entry in happenings.pending.since(position)]
        changes = happenings.heads.since(position)
        found.position = happenings.heads.end
        if found.kind is _Kind.BLOCKS:
            return [hex_data(change.hash) for change in changes if not change.is_removed]
        wish = found.wish
        wanted = [change for change in changes if _in_range(wish, change.number)]

        def collect() -> bytes:
            parts = [block_logs(node, change.hash, wish, bounds, is_removed=change.is_removed) for change in wanted]
            return b"[" + b",".join(part[1:-1] for part in parts if len(part) > 2) + b"]"

        return OnPool(collect)

    @registry.hot("eth_getFilterLogs", key)
    def get_filter_logs(filter_key: int) -> OnPool:
        """Return all logs that a filter is about."""
        found = filters.find(filter_key)
        if found.kind is not _Kind.LOGS:
            raise RpcError(ErrorCode.INVALID_INPUT, "filter not found")
        wish = found.wish
        return OnPool(lambda: logs_of(node, wish, bounds))

    @registry.hot("eth_uninstallFilter", key)
    def uninstall_filter(filter_key: int) -> bool:
        """Drop a filter; answers whether there was one."""
        return filters.remove(filter_key)


def logs_of(node: Node, wish: LogFilter, limits: LogLimits) -> bytes:
    """
    Return the logs that a wish is about, as JSON.

    Raises
    ------
    RpcError : the block is unknown, the range is backwards or too long. LimitExceeded : too many logs.
    """
    if wish.block_hash is not None:
        found = node.block_logs_json(wish.block_hash, wish.addresses, wish.topics, limits.log_count_max)
        if found is None:
            raise RpcError(ErrorCode.INVALID_INPUT, "unknown block")
        return found
    begin, end = _bounds(node, wish)
    if begin > end:
        raise RpcError(ErrorCode.INVALID_PARAMS, "invalid block range params")
    head = node.head_number
    if begin > head:
        return b"[]"
    end = min(end, head)
    if end - begin + 1 > limits.block_count_max:
        words = f"exceed maximum block range: {limits.block_count_max}"
        raise RpcError(ErrorCode.INVALID_PARAMS, words)
    return node.logs_json(begin, end, wish.addresses, wish.topics, limits.log_count_max)


def block_logs(node: Node, block_hash: bytes, wish: LogFilter, limits: LogLimits, *, is_removed: bool) -> bytes:
    """Return the wanted logs of one block, canonical or (``is_removed``) no longer."""
    found = node.block_logs_json(block_hash, wish.addresses, wish.topics, limits.log_count_max) or b"[]"
    if not is_removed:
        return found
    return orjson.dumps([entry | {"removed": True} for entry in orjson.loads(found)])


def _bounds(node: Node, wish: LogFilter) -> tuple[int, int]:
    """First and last height; what is not given is the head."""
    begin = _height(node, wish.from_block)
    return begin, max(begin, node.head_number) if wish.to_block is None else _height(node, wish.to_block)


def _height(node: Node, block: BlockNumber | str | None) -> int:
    if block is None:
        return node.head_number
    return number_of_tag(node, block) if isinstance(block, str) else int(block)


def _in_range(wish: LogFilter, number: int) -> bool:
    """Whether a block's height is within what a filter asked for; tags of the head's end are always met."""
    begin, end = wish.from_block, wish.to_block
    after_begin = not isinstance(begin, int) or number >= begin
    return after_begin and (not isinstance(end, int) or number <= end)
