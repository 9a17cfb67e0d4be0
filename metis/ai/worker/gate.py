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
        # The greatest nonce that has waited long enough: whoever waits below it need not wait for gaps either.
        self._expired: dict[bytes, int] = {}

    async def turn(self, payer: bytes, nonce: int) -> None:
        """
        Return when it is this nonce's turn; the caller takes it, or not, before it gives control away, then calls
        :meth:`taken`.

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
        timer = loop.call_later(self._hold_s, self._expire, payer, nonce)
        try:
            await waiting[nonce]
        except asyncio.CancelledError:
            self._leave(payer, nonce)
            # It may have been its turn: then it is the next one's.
            self.taken(payer)
            raise
        finally:
            timer.cancel()
        self._leave(payer, nonce)
        try:
            self._check(payer, nonce)
        except RequestRefused:
            self.taken(payer)
            raise

    def taken(self, payer: bytes) -> None:
        """Whoever's turn it was has taken a nonce or given it up: the next one that need not wait may go on."""
        waiting = self._waiting.get(payer)
        if not waiting:
            return
        lowest = min(waiting)
        is_due = lowest <= max(self._last_nonce(payer) + 1, self._expired.get(payer, -1))
        if is_due and not waiting[lowest].done():
            waiting[lowest].set_result(None)

    def _check(self, payer: bytes, nonce: int) -> None:
        last = self._last_nonce(payer)
        if nonce <= last:
            raise RequestRefused("nonce-too-low", f"{nonce} is not above {last}, the last that was taken", 409)

    def _leave(self, payer: bytes, nonce: int) -> None:
        waiting = self._waiting[payer]
        del waiting[nonce]
        if not waiting:
            del self._waiting[payer]
            self._expired.pop(payer, None)

    def _expire(self, payer: bytes, nonce: int) -> None:
        self._expired[payer] = max(nonce, self._expired.get(payer, -1))
        self.taken(payer)
