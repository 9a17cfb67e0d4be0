"""
Messages of one connection that stays open: run as they come, a bounded number at a time.

Shared by WebSocket and IPC. Unlike HTTP's, these answers may overtake each other: clients match
them by id. Invariant: bytes and messages in progress are counted once, and given back once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from metis.rpc.dispatch import Session
    from metis.rpc.listener import Listener

__all__ = ["SessionQueue"]


class SetReading(Protocol):
    """Tells a connection whether to go on reading from its client."""

    def __call__(self, *, is_reading: bool) -> None: ...


class SessionQueue:
    """
    The messages of a connection between arriving and being answered.

    Parameters
    ----------
    send : writes an answer; not called after :meth:`close`.
    set_reading : told whether the connection should go on reading from its client.
    """

    def __init__(
        self, listener: Listener, session: Session, send: Callable[[bytes], None], set_reading: SetReading
    ) -> None:
        self._dispatcher = listener.dispatcher
        self._shared = listener.shared
        self._session = session
        self._send = send
        self._set_reading = set_reading
        self._waiting: deque[bytes] = deque()
        self._running_count = 0
        self._held_size = 0
        self._partial_size = 0
        self._is_client_reading = True
        self._is_closed = False
        self._is_starting = False
        self._count_max = listener.limits.requests_per_connection_max

    @property
    def is_idle(self) -> bool:
        """Whether every message has been answered."""
        return not self._running_count and not self._waiting

    def put(self, payload: bytes) -> bool:
        """Take a message; False when the server holds too many bytes and the connection must go."""
        self._held_size += len(payload)
        self._shared.counters.bytes_received += len(payload)
        if not self._shared.hold_bytes(len(payload)):
            return False
        self._waiting.append(payload)
        self._run()
        return True

    def hold_partial(self, size_bytes: int) -> bool:
        """Count what the connection has of an incomplete message; False as for :meth:`put`."""
        if size_bytes == self._partial_size or self._is_closed:
            return True
        grows = size_bytes > self._partial_size
        fits = self._shared.hold_bytes(size_bytes - self._partial_size)
        self._partial_size = size_bytes
        return fits or not grows

    def set_client_reading(self, *, is_reading: bool) -> None:
        """Run nothing more while the client does not read its answers."""
        self._is_client_reading = is_reading
        self._run()

    def close(self) -> None:
        """Drop what waits; answers still to come are dropped too."""
        self._is_closed = True
        self._waiting.clear()
        self._shared.release_bytes(self._held_size + self._partial_size)
        self._held_size = self._partial_size = 0

    def _run(self) -> None:
        if self._is_starting:
            return  # a quick answer came back into the loop below
        self._is_starting = True
        while self._waiting and self._is_client_reading and self._running_count < self._count_max:
            payload = self._waiting.popleft()
            self._running_count += 1
            self._dispatcher.submit(payload, self._session, partial(self._reply, len(payload)))
        self._is_starting = False
        if not self._is_closed:
            self._set_reading(is_reading=not self._waiting and self._is_client_reading)

    def _reply(self, size_bytes: int, answer: bytes) -> None:
        self._running_count -= 1
        if self._is_closed:
            return
        self._held_size -= size_bytes
        self._shared.release_bytes(size_bytes)
        if answer:
            self._shared.counters.bytes_sent += len(answer)
            self._send(answer)
        if self._waiting:
            self._run()
