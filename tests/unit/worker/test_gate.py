"""The gate: one payer's requests in the order of their nonces, however they arrive."""

from __future__ import annotations

import asyncio
import random

import pytest

from metis.ai.worker.gate import NonceGate
from metis.types import RequestRefused

PAYER = b"p" * 20


class Door:
    """A gate, and who came through it."""

    def __init__(self, hold_s: float = 0.1) -> None:
        self.through: list[int] = []
        self.gate = NonceGate(lambda _: self.through[-1] if self.through else -1, hold_s)

    async def enter(self, nonce: int) -> None:
        await self.gate.turn(PAYER, nonce)
        self.through.append(nonce)
        self.gate.taken(PAYER)


def test_gate__requests_in_any_order__pass_in_that_of_their_nonces() -> None:
    async def shuffled(seed: int) -> list[int]:
        door = Door(hold_s=30)
        nonces = list(range(200))
        random.Random(seed).shuffle(nonces)
        await asyncio.gather(*(door.enter(nonce) for nonce in nonces))
        return door.through

    for seed in range(5):
        assert asyncio.run(shuffled(seed)) == list(range(200))


def test_gate__a_gap_that_nobody_fills__is_passed_in_order_after_a_while() -> None:
    async def with_gaps() -> list[int]:
        door = Door()
        await asyncio.gather(*(door.enter(nonce) for nonce in (9, 3, 4, 20)))
        return door.through

    assert asyncio.run(with_gaps()) == [3, 4, 9, 20]


def test_gate__one_that_comes_later_than_a_gap__waits_its_own_time() -> None:
    async def late() -> list[int]:
        door = Door(hold_s=0.3)
        first = asyncio.create_task(door.enter(5))
        await asyncio.sleep(0.2)
        # It waits for 6 to 8 still when 5 has waited long enough; they come before its time is up.
        others = [asyncio.create_task(door.enter(nonce)) for nonce in (9,)]
        await first
        others += [asyncio.create_task(door.enter(nonce)) for nonce in (8, 7, 6)]
        await asyncio.gather(*others)
        return door.through

    assert asyncio.run(late()) == [5, 6, 7, 8, 9]


def test_gate__the_same_or_a_lower_nonce__is_refused() -> None:
    async def again() -> None:
        door = Door()
        await door.enter(0)
        for nonce in (0, -1):
            with pytest.raises(RequestRefused) as raised:
                await door.enter(nonce)
            assert raised.value.reason == "nonce-too-low"
        waiting = asyncio.create_task(door.enter(5))
        await asyncio.sleep(0)
        with pytest.raises(RequestRefused) as used:
            await door.enter(5)
        assert used.value.reason == "nonce-used"
        await waiting

    asyncio.run(again())


def test_gate__one_that_waits_goes_away__does_not_hold_up_the_others() -> None:
    async def cancelled() -> list[int]:
        door = Door(hold_s=0.05)
        tasks = [asyncio.create_task(door.enter(nonce)) for nonce in (1, 2, 3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return door.through

    assert asyncio.run(cancelled()) == [2, 3]
