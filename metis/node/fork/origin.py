"""
Where a fork begins: the upstream chain's id, the fork block, and what is executed again on top of it.

In: the settings ``[fork]``. Out: a :class:`ForkOrigin`. Invariant: with a block number that is in the
cache, an upstream node that cannot be reached is no obstacle; one that has another block there is
believed, and the cache is not.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from metis.node.config import ForkSection
from metis.node.errors import ConfigError
from metis.node.fork.cache import ForkCache
from metis.node.fork.client import AnswerError, Call, UpstreamClient, UpstreamOptions
from metis.node.fork.endpoint import Endpoint, read_endpoint
from metis.node.fork.upstream import Upstream, answer_name
from metis.node.user_folders import user_cache
from metis.types import UpstreamError

__all__ = ["ForkOrigin", "find_origin", "make_client"]

log = logging.getLogger("metis.node.fork")


@dataclass(frozen=True, slots=True)
class ForkOrigin:
    """
    The block that a chain goes on from.

    Attributes
    ----------
    header_json : its header, as eth_getBlockByNumber answers it.
    replay_block : the block after it, whose first transactions are executed again, or None.
    replay_hashes : of those transactions, in order.
    """

    endpoint: Endpoint
    chain_id: int
    block_number: int
    block_hash: bytes
    header_json: bytes
    replay_block: dict[str, Any] | None = None
    replay_hashes: tuple[str, ...] = ()


def make_client(settings: ForkSection) -> UpstreamClient:
    """Make a client for the event loop that it will be used on; raises ConfigError."""
    options = UpstreamOptions(
        timeout_ms=settings.timeout_ms,
        retry_count=settings.retry_count,
        retry_pause_ms=settings.retry_pause_ms,
        batch_count_max=settings.batch_count_max,
        requests_per_second_max=settings.requests_per_second_max,
        headers=settings.headers,
    )
    return UpstreamClient(read_endpoint(settings.url), options)


def open_cache(settings: ForkSection, endpoint: Endpoint, block_number: int) -> ForkCache:
    """Open the cache of an endpoint and a block, or one in memory where the settings say so."""
    if not settings.cache:
        return ForkCache(None, settings.cache_size_bytes_max)
    folder = Path(settings.cache_path) if settings.cache_path else user_cache("forks")
    return ForkCache(folder / endpoint.cache_name / f"{block_number}.log", settings.cache_size_bytes_max)


async def find_origin(settings: ForkSection, client: UpstreamClient) -> tuple[ForkOrigin, Upstream]:
    """
    Find the block to fork.

    Raises
    ------
    UpstreamError : the upstream node does not answer, and the cache does not have the block.
    ConfigError : there is no such block or transaction.
    """
    replay: dict[str, Any] | None = None
    hashes: tuple[str, ...] = ()
    number = settings.block_number
    if settings.transaction_hash:
        replay, hashes = await _block_of_transaction(client, settings.transaction_hash)
        number = _number(client, replay.get("number")) - 1
        if number < 0:
            raise ConfigError("fork.transaction_hash", "is in the first block: there is none before it")
    elif number < 0:
        number = _number(client, await _answer(client, "eth_blockNumber"))
    cache = open_cache(settings, client.endpoint, number)
    try:
        block = await _fetch_block(client, number)
        whole = block.pop("whole")
        cache.begin(block)
        cache.put([(answer_name("eth_getBlockByNumber", (hex(number), False)), whole)])
    except UpstreamError as problem:
        if cache.block is None or problem.kind not in ("unreachable", "timeout", "http", "rate-limit", "garbage"):
            raise
        log.warning("the fork begins from the cache: %s", problem)
        block = cache.block
    origin = ForkOrigin(
        endpoint=client.endpoint,
        chain_id=_number(client, block["chainId"]),
        block_number=number,
        block_hash=bytes.fromhex(str(block["hash"])[2:]),
        header_json=orjson.dumps({key: value for key, value in block.items() if key != "chainId"}),
        replay_block=replay,
        replay_hashes=hashes,
    )
    return origin, Upstream(client, cache, number)


async def _fetch_block(client: UpstreamClient, number: int) -> dict[str, Any]:
    """Fetch the block's header with the chain's id as "chainId", and the block as it was answered as "whole"."""
    chain_id, block = await client.batch([Call("eth_chainId"), Call("eth_getBlockByNumber", (hex(number), False))])
    for answer in (chain_id, block):
        if isinstance(answer, AnswerError):
            raise UpstreamError("answer", client.endpoint.shown, f"answered {answer}")
    if block is None:
        raise ConfigError("fork.block_number", f"the upstream node has no block {number}")
    if not isinstance(block, dict) or not isinstance(block.get("hash"), str) or len(block["hash"]) != 66:
        raise UpstreamError("garbage", client.endpoint.shown, f"block {number} without a hash")
    if _number(client, block.get("number")) != number:
        raise UpstreamError("garbage", client.endpoint.shown, f"another block than {number}")
    header = {key: value for key, value in block.items() if key != "transactions"}
    return header | {"chainId": hex(_number(client, chain_id)), "whole": block}


async def _block_of_transaction(
    client: UpstreamClient, transaction_hash: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = await _answer(client, "eth_getTransactionByHash", transaction_hash)
    if not isinstance(found, dict) or found.get("blockHash") is None:
        raise ConfigError("fork.transaction_hash", "the upstream node has no mined transaction with this hash")
    block = await _answer(client, "eth_getBlockByHash", found["blockHash"], False)  # noqa: FBT003 - as in params
    if not isinstance(block, dict) or not isinstance(block.get("transactions"), list):
        raise UpstreamError("garbage", client.endpoint.shown, "no block for a mined transaction")
    hashes = [str(entry).lower() for entry in block["transactions"]]
    if transaction_hash.lower() not in hashes:
        raise UpstreamError("garbage", client.endpoint.shown, "a block without the transaction that is in it")
    return block, tuple(hashes[: hashes.index(transaction_hash.lower()) + 1])


async def _answer(client: UpstreamClient, method: str, *params: Any) -> Any:
    try:
        return await client.call(method, *params)
    except AnswerError as problem:
        raise UpstreamError("answer", client.endpoint.shown, f"{method} answered {problem}") from problem


def _number(client: UpstreamClient, value: Any) -> int:
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        raise UpstreamError("garbage", client.endpoint.shown, f"{str(value)[:80]!r} where a number was to be") from None
