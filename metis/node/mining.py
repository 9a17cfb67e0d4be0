"""
When blocks are built: instantly, at an interval, both, or by hand.

In: "transactions arrived". Out: blocks, in order, to one callback on the event loop. Invariant: one
build at a time, on one thread or, where it is short, on the event loop; a sender who waits is told only
after a build that began after its transaction was in the pool; with instant mining nothing executable
stays in the pool, and no block is built in which nothing would be.
Cost: transactions that arrive while a block is being built share the next one; while blocks are made durable, the
next ones are executed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from metis.engine import Node
from metis.node.next_block import NextBlock
from metis.types import Hash32

if TYPE_CHECKING:
    from metis.types import BlockAttributes

__all__ = ["BuiltHead", "Mined", "Miner", "StageTimes"]

log = logging.getLogger("metis.node.mining")

T = TypeVar("T")

QUICK_COUNT_MAX = 4
"""Transactions of a block that is built on the event loop. More come from senders who keep the node busy, and then
a thread builds while the loop takes in the next."""

MODES = ("instant", "interval", "mixed", "manual")


@dataclass(frozen=True, slots=True)
class BuiltHead:
    """A block that was just built: its height, hash and transactions."""

    number: int
    hash: Hash32
    transaction_hashes: tuple[bytes, ...]


@dataclass(slots=True)
class Mined:
    """What one run of the builder did; ``failure`` ended it early."""

    heads: list[BuiltHead] = field(default_factory=list)
    failure: Exception | None = None


class StageTimes:
    """
    How long the stages of making blocks have been busy: which of them limits a node under load.

    Attributes
    ----------
    busy_s : seconds by stage. "building" chooses transactions, executes, hashes and writes; "syncing" makes durable.
    """

    def __init__(self) -> None:
        self.busy_s = {"building": 0.0, "syncing": 0.0}

    @contextmanager
    def busy(self, stage: str) -> Iterator[None]:
        """Count what is done within as time of a stage."""
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self.busy_s[stage] += time.perf_counter() - began_s


class Miner:
    """
    Builds blocks on a thread of its own.

    Parameters
    ----------
    mode : one of :data:`MODES`. block_time_s : of interval and mixed.
    next_block : decides about the next block; called on the builder's thread.
    on_mined : told about every run, on the event loop, before the senders are.
    syncs : whether to make blocks durable before senders are told (durability "group").
    quick_gas_max : gas limit up to which a block is built on the event loop instead of the thread: waking a thread and
        being woken by it takes longer than a few transfers. 0 for nodes whose builds may wait, for a disk or for
        another node's state.
    ask : runs what asks the engine, on the builder's thread; a fork's asks again until no state is missing.
    """

    def __init__(
        self,
        node: Node,
        *,
        mode: str,
        block_time_s: float,
        fifo: bool,
        next_block: NextBlock,
        on_mined: Callable[[Mined], None],
        syncs: bool = False,
        quick_gas_max: int = 0,
        ask: Callable[[Callable[[], Any]], Any] = lambda work: work(),
    ) -> None:
        self._node = node
        self._mode = mode
        self._block_time_s = block_time_s
        self._fifo = fifo
        self._next_block = next_block
        self._on_mined = on_mined
        self._syncs = syncs
        self._quick_gas_max = quick_gas_max
        self._ask = ask
        self.stages = StageTimes()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="metis-mining")
        self._disk_thread = ThreadPoolExecutor(1, thread_name_prefix="metis-durable")
        self._announced: asyncio.Future[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._is_due = False
        self._is_running = False
        self._work: set[Future[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopped = False

    @property
    def mode(self) -> str:
        """How blocks come about; may be changed with :meth:`set_mode`."""
        return self._mode

    @property
    def block_time_s(self) -> float:
        """Seconds between blocks of the modes with an interval."""
        return self._block_time_s

    def start(self) -> None:
        """Begin with the interval, and mine what is in the pool already."""
        self._schedule()
        self.head_moved()

    async def stop(self) -> None:
        """Finish the block in progress, then build no more."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        # Whatever the builder does last is made durable after it.
        for thread in (self._thread, self._disk_thread):
            await asyncio.get_running_loop().run_in_executor(thread, lambda: None)
            thread.shutdown(wait=True)

    def set_mode(self, mode: str, block_time_s: float | None = None) -> None:
        """Change how blocks come about, from now on."""
        self._mode = mode
        if block_time_s is not None:
            self._block_time_s = block_time_s
        self._schedule()

    async def arrived(self) -> None:
        """
        Tell that transactions are in the pool; with instant mining return when they had their block.

        Raises whatever made building fail.
        """
        if not self._is_instant:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wake()
        await waiter

    def head_moved(self) -> None:
        """Tell that the head changed: with instant mining, what became executable by that is mined."""
        if self._is_instant and self._node.pool_status()[0]:
            self._wake()

    async def mine(self, block_count: int = 1, interval_s: int | None = None) -> list[BuiltHead]:
        """Build blocks by hand, empty ones too; with ``interval_s`` the clock goes ahead so far before each."""
        mined = await self.run(lambda: self._build_some(block_count, interval_s))
        self._on_mined(mined)
        self.head_moved()
        if mined.failure is not None:
            raise mined.failure
        return mined.heads

    async def run(self, work: Callable[[], T]) -> T:
        """Run something on the builder's thread, between blocks: imports and changes of the head."""
        running = self._thread.submit(self._ask, work)
        self._work.add(running)
        # When it really ends: whoever waits for it may give up before.
        running.add_done_callback(self._work.discard)
        done: T = await asyncio.wrap_future(running)
        if self._announced is not None and not self._announced.done():
            # What was built before is told of before: the caller may have news, too.
            await asyncio.shield(self._announced)
        return done

    @property
    def _is_instant(self) -> bool:
        return self._mode in ("instant", "mixed")

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._mode in ("interval", "mixed") and not self._is_stopped:
            self._timer = asyncio.get_running_loop().call_later(self._block_time_s, self._tick)

    def _tick(self) -> None:
        self._schedule()
        task = asyncio.ensure_future(self.mine())
        task.add_done_callback(_log_failure)

    def _wake(self) -> None:
        """Begin a run at the end of this turn of the loop, so that all who arrived in it share the block."""
        if not self._is_running and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._is_due = False
        waiters, self._waiters = self._waiters, []
        if self._is_quick():
            mined = self._build_quick()
            self._on_mined(mined)
            if mined.failure is not None or not mined.heads or not self._node.pool_status()[0]:
                _tell(waiters, mined.failure)
                return
        self._is_running = True
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._build_all)
        running.add_done_callback(lambda done: self._end(done, waiters))

    def _end(self, done: asyncio.Future[Mined], waiters: list[asyncio.Future[None]]) -> None:
        self._is_running = False
        failure: BaseException | None = asyncio.CancelledError() if done.cancelled() else done.exception()
        if failure is not None:
            _tell(waiters, failure)
        elif self._syncs:
            self._announce_when_durable(done.result(), waiters)
        else:
            self._announce(done.result(), waiters)
        if self._waiters:
            self._begin()

    def _announce(self, mined: Mined, waiters: list[asyncio.Future[None]]) -> None:
        self._on_mined(mined)
        _tell(waiters, mined.failure)

    def _announce_when_durable(self, mined: Mined, waiters: list[asyncio.Future[None]]) -> None:
        """Tell of blocks once they are on the disk; meanwhile the builder's thread executes what comes next."""
        loop = asyncio.get_running_loop()
        self._announced = announced = loop.create_future()

        def announce(synced: asyncio.Future[None]) -> None:
            failure = None if synced.cancelled() else synced.exception()
            if isinstance(failure, Exception):
                log.error("making blocks durable failed", exc_info=failure)
                mined.failure = mined.failure or failure
            self._announce(mined, waiters)
            announced.set_result(None)

        # One thread, so that announcements keep the order of the blocks.
        loop.run_in_executor(self._disk_thread, self._sync).add_done_callback(announce)

    def _is_quick(self) -> bool:
        """Whether what is executable is built before a thread would wake, and the thread has nothing to do."""
        if not self._quick_gas_max or self._work or self._is_stopped:
            return False
        gas = self._node.ready_gas(QUICK_COUNT_MAX)
        return gas is not None and gas <= self._quick_gas_max

    def _build_quick(self) -> Mined:
        """Build one block of what is executable; what becomes executable by it is not known to be quick."""
        mined = Mined()
        try:
            if self._node.pool_status()[0] and (head := self._build_one(allow_empty=False)) is not None:
                mined.heads.append(head)
        except Exception as failure:
            log.exception("building a block failed")
            mined.failure = failure
        return mined

    def _build_all(self) -> Mined:
        """Build until nothing executable is left that fits; on the builder's thread."""
        mined = Mined()
        try:
            # What is left when nothing can be included waits for a lower base fee.
            while self._node.pool_status()[0] and (head := self._build_one(allow_empty=False)) is not None:
                mined.heads.append(head)
        except Exception as failure:
            log.exception("building a block failed")
            mined.failure = failure
        return mined

    def _build_some(self, block_count: int, interval_s: int | None) -> Mined:
        mined = Mined()
        try:
            while len(mined.heads) < block_count:
                left = block_count - len(mined.heads)
                if interval_s:
                    self._next_block.clock.advance(interval_s)
                if left > 1 and not self._node.pool_status()[0]:
                    mined.heads += self._build_empty(left, interval_s)
                else:
                    head = self._build_one(allow_empty=True)
                    assert head is not None  # noqa: S101 - it may be empty
                    mined.heads.append(head)
            self._finish()
        except Exception as failure:
            log.exception("building a block failed")
            mined.failure = failure
        return mined

    def _build_one(self, *, allow_empty: bool) -> BuiltHead | None:
        def build() -> tuple[BlockAttributes, dict[str, Any]]:
            attributes = self._next_block.attributes()
            return attributes, self._node.build(attributes, None, self._fifo, allow_empty)

        with self.stages.busy("building"):
            attributes, built = self._ask(build)
        for transaction_hash, reason in built["dropped"]:
            log.warning("transaction dropped from the pool", extra={"hash": transaction_hash, "reason": str(reason)})
        block = built["block"]
        if block is None:
            return None
        self._next_block.used(attributes)
        return BuiltHead(block.number, Hash32(block.hash), tuple(built["transaction_hashes"]))

    def _build_empty(self, block_count: int, interval_s: int | None) -> list[BuiltHead]:
        """Build empty blocks with one call of the engine."""
        clock = self._next_block.clock
        attributes = self._next_block.attributes()
        step_s = clock.setting.interval_s if interval_s is None else interval_s
        hashes = self._node.mine_empty(attributes, block_count, step_s or 0)
        self._next_block.used(attributes)
        clock.advance((interval_s or 0) * (block_count - 1))
        first = self._node.head_number - len(hashes) + 1
        return [BuiltHead(first + index, Hash32(found), ()) for index, found in enumerate(hashes)]

    def _finish(self) -> None:
        if self._syncs:
            self._sync()

    def _sync(self) -> None:
        with self.stages.busy("syncing"):
            self._node.sync()


def _tell(waiters: list[asyncio.Future[None]], failure: BaseException | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue  # its request ran out of time
        if failure is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(failure)


def _log_failure(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a block at the interval failed: %s", task.exception())
