"""Requests of one payer, let through in the order of their nonces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from metis.types import RequestRefused

__all__ = ["NonceGate"]

# BOUND: requests of one payer that wait for lower nonces.
_WAITING_MAX: Final = 4096


class NonceGate:
    """
    Concurrent requests of one payer arrive in any order; this lets them through in that of their nonces.

    The next nonce passes at once. A later one waits for those between, and when they do not come in time passes
    without them: these are then too low.
    """

    def __init__(self, last_nonce: Callable[[bytes], int], hold_s: float) -> None:
        self._last_nonce = last_nonce
        self._hold_s = hold_s
        self._waiting: dict[bytes, dict[int, asyncio.Future[None]]] = {}

    async def turn(self, payer: bytes, nonce: int) -> None:
        """
        Return when it is this nonce's turn; the caller takes it before it gives control away, then calls :meth:`taken`.

        Raises
        ------
        RequestRefused : the nonce is not above the last one, waits already, or too many wait.
        """
        self._check(payer, nonce)
        if nonce == self._last_nonce(payer) + 1:
            return
        waiting = self._waiting.setdefault(payer, {})
        if nonce in waiting:
            raise RequestRefused("nonce-used", f"another request with nonce {nonce} waits", 409)
        if len(waiting) >= _WAITING_MAX:
            raise RequestRefused("busy", f"{_WAITING_MAX} requests of this payer wait for lower nonces", 429)
        loop = asyncio.get_running_loop()
        waiting[nonce] = loop.create_future()
        timer = loop.call_later(self._hold_s, self._release_lowest, payer)
        try:
            await waiting[nonce]
        finally:
            timer.cancel()
            waiting.pop(nonce, None)
            if not waiting:
                self._waiting.pop(payer, None)
        self._check(payer, nonce)

    def taken(self, payer: bytes) -> None:
        """A nonce was taken, or given up by whose turn it was: the next one that waits may go on."""
        waiting = self._waiting.get(payer, {})
        last = self._last_nonce(payer)
        for nonce in sorted(waiting):
            if nonce > last + 1:
                return
            if not waiting[nonce].done():
                waiting[nonce].set_result(None)
                return

    def _check(self, payer: bytes, nonce: int) -> None:
        last = self._last_nonce(payer)
        if nonce <= last:
            raise RequestRefused("nonce-too-low", f"{nonce} is not above {last}, the last that was taken", 409)

    def _release_lowest(self, payer: bytes) -> None:
        waiting = self._waiting.get(payer)
        if not waiting:
            return
        lowest = min(waiting)
        if not waiting[lowest].done():
            waiting[lowest].set_result(None)
        # Whoever's time is up, but is not the lowest, comes when its turn does: it looks again soon.
        asyncio.get_running_loop().call_later(self._hold_s / 8, self._release_lowest, payer)
