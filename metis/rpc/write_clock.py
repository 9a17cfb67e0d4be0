"""
Whether a client reads what was written to it.

In: what the event loop says about a full write buffer. Out: how long nothing has gone out of it.
"""

from __future__ import annotations

import asyncio

__all__ = ["WriteClock"]


class WriteClock:
    """Measures how long a paused client has taken nothing at all; slow is not stuck."""

    def __init__(self) -> None:
        self.is_paused = False
        self._since_s = 0.0
        self._unread_size = 0

    def pause(self, now_s: float) -> None:
        """Begin to measure: the write buffer is over its high-water mark."""
        self.is_paused = True
        self._since_s = now_s
        self._unread_size = 0

    def resume(self) -> None:
        """End: the buffer has drained."""
        self.is_paused = False

    def stuck_ms(self, now_s: float, transport: asyncio.WriteTransport) -> float:
        """Return for how long the client has read nothing, in milliseconds; 0 where it is not paused."""
        if not self.is_paused:
            return 0.0
        unread_size = transport.get_write_buffer_size()
        if unread_size < self._unread_size:
            self._since_s = now_s
        self._unread_size = unread_size
        return (now_s - self._since_s) * 1_000
