"""When blocks are built, with a stand-in for the engine's node that only counts."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from metis.node.clock import Clock
from metis.node.mining import Mined, Miner
from metis.types import BlockAttributes, StateUnavailable, TimestampS


class FixedNextBlock:
    """Every block has the same attributes; the clock stands at zero."""

    def __init__(self) -> None:
        self.clock = Clock(lambda: 0)
        self.used_count = 0

    def attributes(self) -> BlockAttributes:
        return BlockAttributes(timestamp_s=TimestampS(1))

    def used(self, _attributes: BlockAttributes) -> None:
        self.used_count += 1


class CountingNode:
    """Builds blocks of at most ``capacity`` pending transactions, and notes on which thread."""

    def __init__(self, capacity: int = 1_000) -> None:
        self.pending = 0
        self.stuck = 0
        self.blocks: list[int] = []
        self.capacity = capacity
        self.threads: set[int] = set()
        self.sync_count = 0
        self.failure: Exception | None = None
        self.gate: threading.Event | None = None
        self.disk: threading.Event | None = None
        self.disk_failure: Exception | None = None

    def pool_status(self) -> tuple[int, int]:
        return self.pending + self.stuck, 0

    def ready_gas(self, count_max: int) -> int | None:
        return None if self.pending > count_max else 21_000 * self.pending

    def build(self, *settings: Any) -> dict[str, Any]:
        self.threads.add(threading.get_ident())
        if self.gate is not None:
            assert self.gate.wait(20)
        if self.failure is not None:
            raise self.failure
        taken = min(self.pending, self.capacity)
        self.pending -= taken
        allow_empty = settings[3]
        if not taken and not allow_empty:
            return {"block": None, "transaction_hashes": [], "dropped": []}
        self.blocks.append(taken)
        block = SimpleNamespace(number=len(self.blocks), hash=bytes(32))
        return {"block": block, "transaction_hashes": [bytes(32)] * taken, "dropped": []}

    @property
    def head_number(self) -> int:
        return len(self.blocks)

    def mine_empty(self, _attributes: BlockAttributes, block_count: int, _interval_s: int) -> list[bytes]:
        self.blocks += [0] * block_count
        return [bytes(32)] * block_count

    def sync(self) -> None:
        if self.disk is not None:
            assert self.disk.wait(20)
        if self.disk_failure is not None:
            raise self.disk_failure
        self.sync_count += 1


def miner_of(
    node: CountingNode, mode: str, *, block_time_s: float = 3_600, syncs: bool = False, quick_gas_max: int = 0
) -> tuple[Miner, list[Mined]]:
    runs: list[Mined] = []
    miner = Miner(
        cast(Any, node),
        mode=mode,
        block_time_s=block_time_s,
        fifo=False,
        next_block=cast(Any, FixedNextBlock()),
        on_mined=runs.append,
        syncs=syncs,
        quick_gas_max=quick_gas_max,
    )
    return miner, runs


async def send(node: CountingNode, miner: Miner) -> None:
    node.pending += 1
    await miner.arrived()


def test_instant__senders_of_one_turn__share_a_block() -> None:
    async def scenario() -> None:
        node = CountingNode()
        miner, _ = miner_of(node, "instant", syncs=True)
        await asyncio.gather(*(send(node, miner) for _ in range(50)))
        assert node.blocks == [50]
        assert node.sync_count == 1
        await miner.stop()

    asyncio.run(scenario())


def test_instant__one_transfer__is_built_on_the_loop() -> None:
    async def scenario() -> None:
        node = CountingNode()
        miner, runs = miner_of(node, "instant", quick_gas_max=100_000)
        await send(node, miner)
        assert node.threads == {threading.get_ident()}
        assert [len(run.heads) for run in runs] == [1]
        await miner.stop()

    asyncio.run(scenario())


def test_instant__more_gas_than_is_quick__is_built_on_the_thread() -> None:
    async def scenario() -> None:
        node = CountingNode()
        miner, _ = miner_of(node, "instant", quick_gas_max=100_000)
        await asyncio.gather(*(send(node, miner) for _ in range(5)))
        assert node.blocks == [5]
        assert threading.get_ident() not in node.threads
        await miner.stop()

    asyncio.run(scenario())


def test_instant__thread_at_work__builds_nothing_on_the_loop() -> None:
    async def scenario() -> None:
        node = CountingNode()
        miner, _ = miner_of(node, "instant", quick_gas_max=100_000)
        gate = threading.Event()
        importing = asyncio.create_task(miner.run(lambda: gate.wait(20)))
        await asyncio.sleep(0)
        # Whoever asked for it gives up; the thread does not.
        importing.cancel()
        sending = asyncio.create_task(send(node, miner))
        for _ in range(5):
            await asyncio.sleep(0)
        assert node.blocks == []
        gate.set()
        await sending
        assert node.blocks == [1]
        assert threading.get_ident() not in node.threads
        await miner.stop()

    asyncio.run(scenario())


def test_instant__more_than_a_quick_block_holds__goes_on_on_the_thread() -> None:
    async def scenario() -> None:
        node = CountingNode(capacity=1)
        miner, runs = miner_of(node, "instant", quick_gas_max=100_000)
        await asyncio.gather(send(node, miner), send(node, miner))
        assert node.blocks == [1, 1]
        assert [len(run.heads) for run in runs] == [1, 1]
        assert len(node.threads) == 2
        await miner.stop()

    asyncio.run(scenario())


def test_instant__full_blocks__leave_nothing_behind() -> None:
    async def scenario() -> None:
        node = CountingNode(capacity=20)
        miner, runs = miner_of(node, "instant")
        await asyncio.gather(*(send(node, miner) for _ in range(50)))
        assert node.blocks == [20, 20, 10]
        assert [len(run.heads) for run in runs] == [3]
        await miner.stop()

    asyncio.run(scenario())


def test_instant__what_arrives_while_building__is_in_the_next_block_before_its_sender_hears() -> None:
    async def scenario() -> None:
        node = CountingNode()
        node.gate = threading.Event()
        miner, _ = miner_of(node, "instant")
        first = asyncio.create_task(send(node, miner))
        while not node.threads:
            await asyncio.sleep(0)
        # Its build has begun and took its one transaction or will take both; either way the second waits for one more.
        second = asyncio.create_task(send(node, miner))
        await asyncio.sleep(0)
        node.gate.set()
        await asyncio.gather(first, second)
        assert node.pending == 0
        assert sum(node.blocks) == 2
        assert len(node.threads) == 1
        await miner.stop()

    asyncio.run(scenario())


def test_instant__transactions_that_no_block_takes__do_not_spin() -> None:
    async def scenario() -> None:
        node = CountingNode()
        node.stuck = 3
        miner, _ = miner_of(node, "instant")
        await send(node, miner)
        assert node.blocks == [1]
        await miner.stop()

    asyncio.run(scenario())


def test_instant__a_build_that_fails__is_told_to_the_sender_and_the_next_one_works() -> None:
    async def scenario() -> None:
        node = CountingNode()
        node.failure = StateUnavailable(1, 2, 3)
        miner, _ = miner_of(node, "instant")
        with pytest.raises(StateUnavailable):
            await send(node, miner)
        node.failure = None
        await send(node, miner)
        assert node.blocks == [2]
        await miner.stop()

    asyncio.run(scenario())


def test_instant__a_sender_that_gave_up__does_not_disturb_the_others() -> None:
    async def scenario() -> None:
        node = CountingNode()
        node.gate = threading.Event()
        miner, _ = miner_of(node, "instant")
        impatient = asyncio.create_task(send(node, miner))
        patient = asyncio.create_task(send(node, miner))
        await asyncio.sleep(0)
        impatient.cancel()
        node.gate.set()
        await patient
        assert sum(node.blocks) == 2
        await miner.stop()

    asyncio.run(scenario())


def test_manual__builds_only_when_asked__and_empty_blocks_too() -> None:
    async def scenario() -> None:
        node = CountingNode()
        miner, runs = miner_of(node, "manual")
        miner.start()
        await send(node, miner)
        assert node.blocks == []
        assert [head.number for head in await miner.mine(3)] == [1, 2, 3]
        assert node.blocks == [1, 0, 0]
        assert len(runs) == 1
        await miner.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", ["interval", "mixed"])
def test_interval__builds_without_being_asked__until_it_is_stopped(mode: str) -> None:
    async def scenario() -> None:
        node = CountingNode()
        miner, runs = miner_of(node, mode, block_time_s=0.01)
        miner.start()
        while len(runs) < 3:
            await asyncio.sleep(0.001)
        await miner.stop()
        assert set(node.blocks) == {0}

    asyncio.run(scenario())


def test_instant__slow_disk__the_next_block_is_built_meanwhile_and_nobody_hears_early() -> None:
    async def scenario() -> None:
        node = CountingNode()
        node.disk = threading.Event()
        miner, runs = miner_of(node, "instant", syncs=True)
        first = asyncio.create_task(send(node, miner))
        while not node.blocks:
            await asyncio.sleep(0)
        second = asyncio.create_task(send(node, miner))
        while len(node.blocks) < 2:
            await asyncio.sleep(0)
        assert not first.done()
        assert not second.done()
        assert not runs
        node.disk.set()
        await asyncio.gather(first, second)
        assert [head.number for run in runs for head in run.heads] == [1, 2]
        await miner.stop()

    asyncio.run(scenario())


def test_run__blocks_that_are_not_durable_yet__are_told_of_first() -> None:
    async def scenario() -> None:
        node = CountingNode()
        node.disk = threading.Event()
        miner, runs = miner_of(node, "instant", syncs=True)
        sending = asyncio.create_task(send(node, miner))
        while not node.blocks:
            await asyncio.sleep(0)
        importing = asyncio.create_task(miner.run(lambda: "imported"))
        for _ in range(100):
            await asyncio.sleep(0.001)
        assert not importing.done()
        node.disk.set()
        assert await importing == "imported"
        assert len(runs) == 1
        await sending
        await miner.stop()

    asyncio.run(scenario())


def test_instant__a_disk_that_fails__is_told_to_the_sender() -> None:
    async def scenario() -> None:
        node = CountingNode()
        node.disk_failure = OSError("no space left")
        miner, _ = miner_of(node, "instant", syncs=True)
        with pytest.raises(OSError, match="no space left"):
            await send(node, miner)
        await miner.stop()

    asyncio.run(scenario())
