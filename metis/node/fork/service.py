"""
The fork of a running node: fetches what the engine misses, then has it asked again.

In: :class:`metis.types.MissingState` from an engine call, which had no effect. Out: the same call's
result, once everything is here. Invariant: nothing waits for the network while the engine runs, and the
event loop never waits at all; a call that fails has changed nothing. Cost: one round trip for every run
that misses something; a run finds as many keys as it can.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from metis.engine import CodeRegistry, ModelSet, Node
from metis.node.config import ForkSection
from metis.node.fork.endpoint import Endpoint
from metis.node.fork.origin import ForkOrigin, make_client
from metis.node.fork.replay import replay
from metis.node.fork.upstream import AccountKey, BlockHashKey, Key, SlotKey, Upstream
from metis.types import MetisError, MissingState, UpstreamError

if TYPE_CHECKING:
    from metis.node.service import NodeService
    from metis.rpc import MethodRegistry
    from metis.rpc.namespaces import Backend

__all__ = ["ForkService", "keys_of"]

log = logging.getLogger("metis.node.fork")

T = TypeVar("T")

ROUND_COUNT_MAX = 10_000
"""Runs of one question: each finds something new, so no honest question comes near."""


class ForkService:
    """
    One fork: the chain it is from, and what was fetched of it.

    Parameters
    ----------
    settings : how the upstream node is asked.
    """

    def __init__(self, origin: ForkOrigin, upstream: Upstream, settings: ForkSection) -> None:
        self._settings = settings
        self.origin = origin
        self.upstream = upstream
        self._node: Node | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._known: set[Key] = set()

    @property
    def block_number(self) -> int:
        """Height of the fork block."""
        return self.origin.block_number

    def open_node(
        self,
        genesis_json: bytes,
        accounts: Any,
        kept_block_count: int,
        pool: Any,
        rules: Any,
        code_registry: CodeRegistry,
        models: ModelSet,
    ) -> Node:
        """Begin the chain in the engine; the parameters are those of :meth:`metis.engine.Node.open`."""
        node = Node.open_fork(
            genesis_json, self.origin.header_json, accounts, kept_block_count, pool, rules, code_registry, models
        )
        self._node = node
        return node

    def take_over(self, registry: MethodRegistry, backend: Backend) -> None:
        """Have the methods of a registry asked again until no state is missing."""
        from metis.node.fork.methods import fork_methods

        fork_methods(registry, self, backend)

    async def start(self, service: NodeService) -> None:
        """Begin on the running event loop: execute again what the fork is to begin after."""
        self._loop = asyncio.get_running_loop()
        await replay(self, service)

    async def stop(self) -> None:
        """Give up what is being fetched, and close the connections to the upstream node."""
        self.upstream.cancel()
        await self.upstream.client.close()

    @property
    def endpoint(self) -> Endpoint:
        """The node that is asked now."""
        return self.upstream.client.endpoint

    async def set_url(self, url: str) -> None:
        """Ask another node of the same chain from now on; raises ConfigError."""
        client, self.upstream.client = self.upstream.client, make_client(replace(self._settings, url=url))
        await client.close()

    async def supply(self, keys: Iterable[Key]) -> None:
        """Fetch keys and give them to the engine; raises UpstreamError."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self._known]
        # What the cache has is given first: it must not be lost to a fetch that fails.
        here = [key for key in wanted if self.upstream.has(key)]
        for part in (here, [key for key in wanted if key not in set(here)]):
            if part:
                self._give(part, await self.upstream.fetch(part))

    def _give(self, keys: list[Key], values: list[Any]) -> None:
        accounts, slots, hashes = [], [], []
        for key, value in zip(keys, values, strict=True):
            if isinstance(key, AccountKey):
                accounts.append((key.address, value.nonce, value.balance_wei, value.code))
            elif isinstance(key, SlotKey):
                slots.append((key.address, key.slot, value))
            else:
                hashes.append((key.number, value))
        assert self._node is not None  # noqa: S101 - opened before anything is asked
        self._node.supply(accounts, slots, hashes)
        self._known.update(keys)

    async def until_supplied(self, ask: Callable[[], Any]) -> Any:
        """Ask, on the event loop, until nothing is missing; ``ask`` may return something to await."""
        for _ in range(ROUND_COUNT_MAX):
            try:
                answer = ask()
                return await answer if asyncio.iscoroutine(answer) else answer
            except MissingState as missing:
                await self.supply(keys_of(missing))
        raise UpstreamError("answer", self.upstream.client.endpoint.shown, "more state than one question may need")

    def until_supplied_from_thread(self, ask: Callable[[], T]) -> T:
        """Ask, on a thread that may wait, until nothing is missing."""
        assert self._loop is not None  # noqa: S101 - started before any thread is
        for _ in range(ROUND_COUNT_MAX):
            try:
                return ask()
            except MissingState as missing:
                asyncio.run_coroutine_threadsafe(self.supply(keys_of(missing)), self._loop).result()
        raise UpstreamError("answer", self.upstream.client.endpoint.shown, "more state than one question may need")

    async def prefetch(self, keys: Iterable[Key]) -> None:
        """Fetch what will be asked for soon; that it cannot be had is no failure yet."""
        try:
            await self.supply(keys)
        except MetisError as problem:
            log.debug("prefetch failed: %s", problem)


def keys_of(missing: MissingState) -> list[Key]:
    """Write what the engine misses as keys."""
    return [
        *(AccountKey(address) for address in missing.accounts),
        *(SlotKey(address, slot) for address, slot in missing.slots),
        *(BlockHashKey(number) for number in missing.block_numbers),
    ]
