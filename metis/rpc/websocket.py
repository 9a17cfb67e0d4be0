"""
WebSocket connections: requests in any number at once, and subscriptions.

In: bytes of a client after the upgrade. Out: frames to it. Invariant: what waits for a client is
bounded: answers by not reading its next requests, notifications by disconnecting it.
Source: RFC 6455; frames are read and written in :mod:`metis.rpc.frames`.

    open → (we close: close frame sent, CLOSING) → closed
      └──→ (client closes: close frame echoed)  → closed
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from metis.rpc.frames import CloseCode, Frame, FrameError, FrameReader, Opcode, encode_close, encode_frame
from metis.rpc.session_queue import SessionQueue
from metis.rpc.write_clock import WriteClock

if TYPE_CHECKING:
    from metis.rpc.listener import Listener, Shared
    from metis.rpc.subscriptions import Framing, Subscriber, Subscription

__all__ = ["WEBSOCKET_FRAMING", "WebSocketConnection"]

# How long a client has to answer our close frame, and to read what was written before it.
CLOSING_S = 2.0
GATHERED_SIZE_BYTES_MAX = 64 * 1024


class WebSocketFraming:
    """Notifications as text frames."""

    def frame(self, message: bytes) -> bytes:
        """Return the message as one text frame."""
        return encode_frame(Opcode.TEXT, message)


WEBSOCKET_FRAMING = WebSocketFraming()


class WebSocketConnection(asyncio.Protocol):
    """One connection after its upgrade. Is the session of its requests and the subscriber of its subscriptions."""

    transport_name = "websocket"
    framing: Framing = WEBSOCKET_FRAMING

    def __init__(self, listener: Listener, transport: asyncio.Transport) -> None:
        self._shared: Shared = listener.shared
        self._limits = listener.limits
        self._transport = transport
        self._reader = FrameReader(self._limits.body_size_bytes_max)
        self._queue = SessionQueue(listener, self, self._send_answer, self._set_reading)
        self.subscriber: Subscriber | None = self
        self.subscriptions: dict[str, Subscription] = {}
        self.subscription_count_max = self._limits.subscriptions_per_connection_max
        self.is_closed = False
        self._is_closing = False
        self._is_stopping = False
        self._is_feeding = False
        self._is_reading_paused = False
        self._gathered: list[bytes] = []
        self._gathered_size = 0
        now_s = self._shared.loop.time()
        self._heard_at_s = now_s
        self._pinged_at_s: float | None = None
        self._message_since_s: float | None = None
        self._write_clock = WriteClock()
        self._closing_since_s = now_s

    # From the event loop.

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget everything; answers that are still being made go nowhere."""
        self.is_closed = self._is_closing = True
        self._shared.hub.drop(self)
        self._queue.close()
        self._shared.forget(self)

    def data_received(self, data: bytes) -> None:
        """Read frames; run and answer what they hold."""
        if self.is_closed:
            return
        self._heard_at_s = self._shared.loop.time()
        self._pinged_at_s = None
        self._is_feeding = True
        try:
            frames = self._reader.feed(data)
            if not self._queue.hold_partial(self._reader.kept_size_bytes):
                self._close(CloseCode.TRY_AGAIN_LATER, "server is busy")
            for frame in frames:
                self._take(frame)
        except FrameError as problem:
            self._close(problem.code, problem.reason)
        self._is_feeding = False
        if not self._reader.is_mid_message:
            self._message_since_s = None
        elif self._message_since_s is None:
            self._message_since_s = self._heard_at_s
        self._flush()

    def eof_received(self) -> bool:
        """End with the client: a WebSocket is never half closed."""
        return False

    def pause_writing(self) -> None:
        """Run nothing more while the client does not read its answers."""
        self._write_clock.pause(self._shared.loop.time())
        self._queue.set_client_reading(is_reading=False)

    def resume_writing(self) -> None:
        """Go on; the client reads again."""
        self._write_clock.resume()
        self._queue.set_client_reading(is_reading=True)

    # From the server's clock.

    def sweep(self, now_s: float) -> None:
        """Ping who is silent, drop who is dead, slow or does not read."""
        limits = self._limits
        if self._is_closing:
            if now_s - self._closing_since_s > CLOSING_S:
                self._transport.abort()
            return
        if self._write_clock.is_paused:
            if self._write_clock.stuck_ms(now_s, self._transport) > limits.write_timeout_ms:
                self._close(CloseCode.TRY_AGAIN_LATER, "answers are not read")
            return
        if self._is_stopping and self._queue.is_idle:
            self._close(CloseCode.GOING_AWAY, "server is stopping")
            return
        if self._is_reading_paused:
            return  # what is missing may be waiting behind requests that we do not read
        if self._message_since_s is not None and now_s - self._message_since_s > limits.body_timeout_ms / 1_000:
            self._close(CloseCode.PROTOCOL_ERROR, "message took too long")
            return
        ping_interval_s = limits.ping_interval_ms / 1_000
        if self._pinged_at_s is not None:
            if now_s - self._pinged_at_s > ping_interval_s:
                self._close(CloseCode.INTERNAL_ERROR, "no answer to ping")
        elif now_s - self._heard_at_s > ping_interval_s:
            self._pinged_at_s = now_s
            self._write(encode_frame(Opcode.PING, b""))

    def stop(self) -> None:
        """Answer what is in progress, then close."""
        self._is_stopping = True
        if self._queue.is_idle:
            self._close(CloseCode.GOING_AWAY, "server is stopping")

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # From the hub.

    def send_framed(self, frame: bytes) -> None:
        """Write a notification; a client that does not read them is disconnected."""
        if self._is_closing:
            return
        unread_size = self._transport.get_write_buffer_size() + self._gathered_size
        if unread_size + len(frame) > self._limits.subscriber_buffer_bytes_max:
            self._shared.counters.slow_subscriber_count += 1
            self._close(CloseCode.TRY_AGAIN_LATER, "notifications are not read")
            return
        self._write(frame)

    # Inside.

    def _take(self, frame: Frame) -> None:
        if self._is_closing:
            # Only the client's close frame is still of interest.
            if frame.opcode is Opcode.CLOSE:
                self._flush()
                self._transport.close()
            return
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            if self._is_stopping:
                return
            if not self._queue.put(frame.payload):
                self._close(CloseCode.TRY_AGAIN_LATER, "server is busy")
        elif frame.opcode is Opcode.PING:
            self._write(encode_frame(Opcode.PONG, frame.payload))
        elif frame.opcode is Opcode.CLOSE:
            self._close(frame.close_code, "")
            self._transport.close()

    def _send_answer(self, answer: bytes) -> None:
        if not self._is_closing:
            self._write(encode_frame(Opcode.TEXT, answer))
        if self._is_stopping and self._queue.is_idle:
            self._close(CloseCode.GOING_AWAY, "server is stopping")

    def _close(self, code: int, reason: str) -> None:
        """Send a close frame; the client's own, or :data:`CLOSING_S`, ends the connection."""
        if self._is_closing:
            return
        self._is_closing = True
        self._closing_since_s = self._shared.loop.time()
        self._write(encode_close(code, reason))
        self._flush()
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()  # nothing follows; clients that wait for the end need not
        self._shared.hub.drop(self)
        self._queue.close()
        self._set_reading(is_reading=True)

    def _set_reading(self, *, is_reading: bool) -> None:
        pause = not is_reading and not self._is_closing
        if pause == self._is_reading_paused or self._transport.is_closing():
            return
        self._is_reading_paused = pause
        if pause:
            self._transport.pause_reading()
        else:
            # Silence while we did not read says nothing about the client.
            self._heard_at_s = self._shared.loop.time()
            if self._message_since_s is not None:
                self._message_since_s = self._heard_at_s
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        """Keep what is to be written until the read is done, so that many answers are one system call."""
        self._gathered.append(data)
        self._gathered_size += len(data)
        if not self._is_feeding or self._gathered_size > GATHERED_SIZE_BYTES_MAX:
            self._flush()

    def _flush(self) -> None:
        gathered = self._gathered
        if not gathered:
            return
        self._gathered, self._gathered_size = [], 0
        if not self._transport.is_closing():
            self._transport.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))
