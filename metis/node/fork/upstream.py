"""
The chain that is forked, as of the fork block: its state by key, and answers about older blocks.

In: keys, or methods with parameters. Out: values, from the cache where it has them, else from one batched
request. Invariant: each key is asked for once, however many wait for it; what an upstream node answers is
checked before it is believed. Cost: one round trip for all keys that are asked for together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from metis.node.fork.cache import ForkCache
from metis.node.fork.client import AnswerError, Call, UpstreamClient
from metis.types import UpstreamError

__all__ = ["AccountKey", "BlockHashKey", "ForkedAccount", "Key", "SlotKey", "Upstream", "answer_name"]


@dataclass(frozen=True, slots=True)
class AccountKey:
    """An account with its code."""

    address: bytes


@dataclass(frozen=True, slots=True)
class SlotKey:
    """A slot of an account."""

    address: bytes
    slot: int


@dataclass(frozen=True, slots=True)
class BlockHashKey:
    """The hash of a block before the fork block."""

    number: int


Key = AccountKey | SlotKey | BlockHashKey


@dataclass(frozen=True, slots=True)
class ForkedAccount:
    """An account at the fork block; all zero and empty where there is none."""

    nonce: int
    balance_wei: int
    code: bytes


class Upstream:
    """
    One block of another node's chain.

    Parameters
    ----------
    block_number : the fork block's.
    """

    def __init__(self, client: UpstreamClient, cache: ForkCache, block_number: int) -> None:
        self.client = client
        self.cache = cache
        self.block_number = block_number
        self._in_flight: dict[str, asyncio.Future[Any]] = {}

    def cancel(self) -> None:
        """Give up everything that is being fetched."""
        for task in set(self._in_flight.values()):
            task.cancel()

    def has(self, key: Key) -> bool:
        """Whether a key is in the cache."""
        return self.cache.get(_name(key)) is not None

    async def fetch(self, keys: Sequence[Key]) -> list[Any]:
        """
        Return what is at the keys, in their order.

        Returns
        -------
        A ForkedAccount, an integer (slot) or 32 bytes (block hash) per key.

        Raises
        ------
        UpstreamError : it could not be had, or is nonsense.
        """
        names = [_name(key) for key in keys]
        wanted = {name: key for name, key in zip(names, keys, strict=True) if self.cache.get(name) is None}
        mine = {name: key for name, key in wanted.items() if name not in self._in_flight}
        if mine:
            self._begin(list(mine), self._fetch_keys(mine))
        for task in {self._in_flight[name] for name in wanted if name in self._in_flight}:
            await asyncio.shield(task)
        return [self._value(key, self.cache.get(name)) for key, name in zip(keys, names, strict=True)]

    async def ask(self, method: str, params: Sequence[Any]) -> Any:
        """
        Answer a question about blocks up to the fork block; these do not change.

        Raises
        ------
        UpstreamError : there was no answer. AnswerError : the answer is an error.
        """
        name = answer_name(method, params)
        found = self.cache.get(name)
        if found is not None:
            return found
        if name not in self._in_flight:
            self._begin([name], self._ask(name, method, params))
        return await asyncio.shield(self._in_flight[name])

    async def _ask(self, name: str, method: str, params: Sequence[Any]) -> Any:
        result = await self.client.call(method, *params)
        if result is not None:
            self.cache.put([(name, result)])
        return result

    def _begin(self, names: Sequence[str], work: Coroutine[Any, Any, Any]) -> None:
        """Do work for names in a task of its own: who gives up waiting must not take it from the others."""
        task = asyncio.ensure_future(work)
        for name in names:
            self._in_flight[name] = task

        def end(done: asyncio.Future[Any]) -> None:
            for name in names:
                self._in_flight.pop(name, None)
            if not done.cancelled():
                done.exception()  # looked at, also where nobody waits any more

        task.add_done_callback(end)

    async def _fetch_keys(self, wanted: dict[str, Key]) -> None:
        block = hex(self.block_number)
        calls: list[Call] = []
        for key in wanted.values():
            calls += _calls(key, block)
        answers = iter(await self.client.batch(calls))
        entries: list[tuple[str, Any]] = []
        for name, key in wanted.items():
            entries.append((name, self._checked(key, answers)))
        self.cache.put(entries)

    def _checked(self, key: Key, answers: Any) -> Any:
        if isinstance(key, SlotKey):
            return hex(self._quantity(next(answers), 256))
        if isinstance(key, BlockHashKey):
            header = self._answer(next(answers))
            if not isinstance(header, dict):
                raise self._garbage(f"no block {key.number}")
            return self._data(header.get("hash"), 32)
        balance, nonce, code = next(answers), next(answers), next(answers)
        return [hex(self._quantity(nonce, 64)), hex(self._quantity(balance, 256)), self._data(self._answer(code), None)]

    def _value(self, key: Key, value: Any) -> Any:
        try:
            if isinstance(key, SlotKey):
                return int(value, 16)
            if isinstance(key, BlockHashKey):
                return bytes.fromhex(value[2:])
            nonce, balance, code = value
            return ForkedAccount(int(nonce, 16), int(balance, 16), bytes.fromhex(code[2:]))
        except (TypeError, ValueError) as problem:
            raise self._garbage(f"a cached value that is none: {problem}") from problem

    def _answer(self, answer: Any) -> Any:
        if not isinstance(answer, AnswerError):
            return answer
        advice = ""
        if any(words in answer.message.lower() for words in ("missing trie node", "header not found", "not available")):
            advice = "; forking an old block needs a node that keeps old state (an archive node)"
        raise UpstreamError("answer", self.client.endpoint.shown, f"answered {answer}{advice}")

    def _quantity(self, answer: Any, bits: int) -> int:
        value = self._answer(answer)
        try:
            number = int(value, 16) if isinstance(value, str) and value.startswith("0x") else -1
        except ValueError:
            number = -1
        if value == "0x":
            number = 0
        if not 0 <= number < 1 << bits:
            raise self._garbage(f"{str(value)[:80]!r} where a number of {bits} bits was to be")
        return number

    def _data(self, value: Any, size_bytes: int | None) -> str:
        try:
            data = bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else None
        except ValueError:
            data = None
        if data is None or (size_bytes is not None and len(data) != size_bytes):
            raise self._garbage(f"{str(value)[:80]!r} where hexadecimal data was to be")
        return f"0x{data.hex()}"

    def _garbage(self, detail: str) -> UpstreamError:
        return UpstreamError("garbage", self.client.endpoint.shown, f"answered {detail}")


def answer_name(method: str, params: Sequence[Any]) -> str:
    """Name an answer in the cache."""
    return f"rpc:{method}:{orjson.dumps(list(params)).decode()}"


def _calls(key: Key, block: str) -> Iterable[Call]:
    if isinstance(key, SlotKey):
        return [Call("eth_getStorageAt", (f"0x{key.address.hex()}", f"0x{key.slot:064x}", block))]
    if isinstance(key, BlockHashKey):
        return [Call("eth_getBlockByNumber", (hex(key.number), False))]
    address = f"0x{key.address.hex()}"
    return [Call(method, (address, block)) for method in ("eth_getBalance", "eth_getTransactionCount", "eth_getCode")]


def _name(key: Key) -> str:
    if isinstance(key, SlotKey):
        return f"slot:{key.address.hex()}:{key.slot:x}"
    return f"hash:{key.number}" if isinstance(key, BlockHashKey) else f"account:{key.address.hex()}"
