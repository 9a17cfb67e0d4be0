"""
HTTP/1.1 connections: requests are run one after another and answered in order.

In: bytes of a client. Out: bytes to it. Invariant: requests of one connection run one at a time,
in the order they came, also when the client sends them without waiting (pipelining). Cost: one
write per read where answers are quick. Sources: RFC 9110, RFC 9112.

    reading and answering → (last answer) → closed
                          → (refusal)     → lingering → closed
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from metis.rpc.http_head import CLOSE, RequestHead, Route, Terms, encode_head, switching_protocols
from metis.rpc.http_request import Phase, RequestReader
from metis.rpc.listener import PageContent
from metis.rpc.websocket import WebSocketConnection
from metis.rpc.write_clock import WriteClock

if TYPE_CHECKING:
    from metis.rpc.listener import Listener
    from metis.rpc.subscriptions import Subscriber

__all__ = ["HttpConnection"]

log = logging.getLogger("metis.rpc")

TEXT = "text/plain; charset=utf-8"
LINGER_S = 2.0
# Answers of requests that came in one read are written together up to this size.
GATHERED_SIZE_BYTES_MAX = 64 * 1024


class HttpConnection(asyncio.Protocol):
    """One TCP connection, until it closes or becomes a WebSocket. Is the session of its requests."""

    transport_name = "http"

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._shared = listener.shared
        self._limits = listener.limits
        self._counters = listener.shared.counters
        self._submit = listener.dispatcher.submit
        self.subscriber: Subscriber | None = None
        self._transport: asyncio.Transport | None = None
        self._reader = RequestReader(listener, self)
        self._is_feeding = False
        self._is_reading_paused = False
        self._is_at_end = False
        # Requests that wait for their turn, with their payloads; a refusal is ready to be sent.
        self._waiting: deque[tuple[Terms | None, bytes]] = deque()
        self._current: Terms | None = None
        self._current_size = 0
        self._served_count = 0
        self._served_count_seen = 0
        self._is_advancing = False
        self._gathered: list[bytes] = []
        self._gathered_size = 0
        self._write_clock = WriteClock()
        self._is_stopping = False

    # From the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or refuse it when there are too many."""
        self._transport = transport = cast("asyncio.Transport", transport)
        if not self._shared.admit(self, self.transport_name):
            if len(self._shared.connections) > 2 * self._limits.connections_max:
                transport.abort()
            else:
                self._reader.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget everything; an answer that is still being made goes nowhere."""
        self._transport = None
        self._reader.close()
        self._shared.forget(self)
        waiting_size = sum(len(payload) for terms, payload in self._waiting if terms is not None)
        self._shared.release_bytes(self._current_size + waiting_size)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Read requests; run and answer what is complete."""
        if self._current is None and not self._waiting:
            terms = self._reader.known_request(data)
            if terms is not None:
                self._is_advancing = True
                self._run(terms, data[len(data) - terms.content_length :])
                self._is_advancing = False
                if self._gathered:
                    self._flush()
                return
        self._is_feeding = True
        self._reader.feed(data)
        self._is_feeding = False
        self._advance()

    def eof_received(self) -> bool:
        """Answer what is complete, then close: a client may end its side after its last request."""
        self._is_at_end = True
        return self._current is not None or bool(self._waiting)

    def pause_writing(self) -> None:
        """Run nothing more while the client does not read its answers."""
        self._write_clock.pause(self._shared.loop.time())
        self._set_reading()

    def resume_writing(self) -> None:
        """Go on; the client reads again."""
        self._write_clock.resume()
        self._advance()

    # From the reader.

    def take_request(self, terms: Terms, payload: bytes) -> None:
        """Queue a request."""
        self._waiting.append((terms, payload))
        if len(self._waiting) >= self._limits.requests_per_connection_max:
            self._advance()
            self._set_reading()

    def take_refusal(self, status: HTTPStatus, problem: str, headers: bytes) -> None:
        """Queue the last answer, after the requests before it."""
        head = self._reader.head
        headers += self._listener.access.cors_headers(head.headers.get(b"origin")) + CLOSE
        answer = self._encode(status, TEXT, problem.encode() + b"\n", headers, is_head=head.method == b"HEAD")
        self._waiting.append((None, answer))
        self._advance()

    def take_expectation(self) -> None:
        """Answer "100 Continue", unless answers before it are due: then the client waits a moment and sends anyway."""
        self._advance()
        if self._current is None and not self._waiting:
            self._write(encode_head(HTTPStatus.CONTINUE, "", None, b""))
            self._flush()

    def take_websocket(self, head: RequestHead, rest: bytes) -> None:
        """Hand the connection over."""
        self._advance()
        transport = self._transport
        if self._current is not None or self._waiting or transport is None:
            self._reader.refuse(HTTPStatus.BAD_REQUEST, "a WebSocket may not begin while requests are open")
            return
        headers = self._listener.access.cors_headers(head.headers.get(b"origin"))
        self._write(switching_protocols(head, headers))
        self._flush()
        self._reader.close()
        websocket = WebSocketConnection(self._listener, transport)
        self._shared.replace(self, websocket, websocket.transport_name)
        transport.set_protocol(websocket)
        websocket.data_received(rest)

    # From the server's clock.

    def sweep(self, now_s: float) -> None:
        """Close what is idle, refuse what is slow, cut off who does not read."""
        transport, limits, reader = self._transport, self._limits, self._reader
        if transport is None:
            return
        if self._write_clock.is_paused:
            if self._write_clock.stuck_ms(now_s, transport) > limits.write_timeout_ms:
                transport.abort()
            return
        if self._current is not None or self._waiting:
            return  # the dispatcher keeps the time
        if self._served_count != self._served_count_seen:
            # Looked at here, so that a quick answer need not look at the clock.
            self._served_count_seen = self._served_count
            reader.restart_clock(now_s)
        age_ms = (now_s - reader.phase_since_s) * 1_000
        if reader.phase is Phase.ENDED:
            if age_ms > LINGER_S * 1_000:
                transport.abort()
        elif reader.phase is Phase.IDLE:
            if age_ms > limits.idle_timeout_ms:
                transport.close()
        elif reader.phase is Phase.HEAD:
            if age_ms > limits.header_timeout_ms:
                reader.refuse(HTTPStatus.REQUEST_TIMEOUT, "request head took too long")
        elif age_ms > limits.body_timeout_ms:
            reader.refuse(HTTPStatus.REQUEST_TIMEOUT, "request body took too long")

    def stop(self) -> None:
        """Answer what is complete, then close."""
        self._is_stopping = True
        if self._transport is not None and self._current is None and not self._waiting:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # Inside.

    def _advance(self) -> None:
        """Run and answer waiting requests until one has to be waited for."""
        if self._is_advancing:
            return
        self._is_advancing = True
        waiting = self._waiting
        while waiting and self._current is None and not self._write_clock.is_paused:
            terms, payload = waiting.popleft()
            if terms is None:
                self._write(payload)
                self._linger()
            elif terms.route is Route.CALL:
                self._run(terms, payload)
            else:
                self._shared.release_bytes(len(payload))
                self._write(self._page(terms) if terms.route is Route.PAGE else self._preflight(terms))
                self._after_answer(terms.closes)
        self._is_advancing = False
        if self._is_reading_paused:
            self._set_reading()
        if not self._is_feeding and self._gathered:
            self._flush()

    def _run(self, terms: Terms, payload: bytes) -> None:
        """Run a request; nothing else of this connection runs meanwhile."""
        self._current = terms
        self._current_size = size_bytes = len(payload)
        self._counters.bytes_received += size_bytes
        self._submit(payload, self, self._reply)

    def _reply(self, answer: bytes) -> None:
        """Write the answer to the current request; go on with the next."""
        terms, self._current = self._current, None
        transport = self._transport
        if transport is None or terms is None:
            return  # the client is gone
        counters, size_bytes = self._counters, len(answer)
        counters.bytes_in_flight -= self._current_size
        counters.bytes_sent += size_bytes
        self._current_size = 0
        self._served_count += 1
        headers, closes = terms.headers, terms.closes
        if self._is_stopping and not self._waiting and not closes:
            headers, closes = headers + CLOSE, True
        if answer:
            data = b"%b%bContent-Length: %d\r\n\r\n%b" % (self._shared.ok_lines, headers, size_bytes, answer)
            if self._waiting or self._gathered:
                self._write(data)
            else:
                transport.write(data)
        else:
            # Only notifications: nothing to say (JSON-RPC 2.0 §6).
            self._write(self._encode(HTTPStatus.NO_CONTENT, "", None, headers))
        if closes or self._is_at_end:
            self._after_answer(closes)
        if not self._is_advancing:
            self._advance()

    def _after_answer(self, closes: bool) -> None:  # noqa: FBT001 - its only argument
        """Close the connection where this was its last answer."""
        if closes or (self._is_at_end and not self._waiting):
            self._flush()
            if self._transport is not None:
                self._transport.close()

    def _linger(self) -> None:
        """
        End our side, and drop what still comes until the client ends its own.

        Closing at once would let the kernel reset the connection while the client still sends,
        and the client would lose the answer.
        """
        self._flush()
        if self._transport is not None and self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def _set_reading(self) -> None:
        """Read from the client only while its requests and answers can be kept."""
        if self._transport is None or self._transport.is_closing():
            return
        is_full = len(self._waiting) >= self._limits.requests_per_connection_max
        pause = is_full or self._write_clock.is_paused
        if pause != self._is_reading_paused:
            self._is_reading_paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _page(self, terms: Terms) -> bytes:
        try:
            content = self._listener.pages[terms.head.path]()
        except Exception:
            log.exception("page %s failed", terms.head.path)
            content = PageContent(TEXT, b"internal error\n", HTTPStatus.INTERNAL_SERVER_ERROR)
        is_head = terms.head.method == b"HEAD"
        return self._encode(content.status, content.content_type, content.body, terms.headers, is_head=is_head)

    def _preflight(self, terms: Terms) -> bytes:
        lines = terms.headers + b"Allow: POST, GET, HEAD, OPTIONS\r\n"
        if b"access-control-request-method" in terms.head.headers:
            lines += self._listener.access.preflight_headers(terms.head.headers)
        return self._encode(HTTPStatus.NO_CONTENT, "", None, lines)

    def _encode(
        self, status: int, content_type: str, body: bytes | None, headers: bytes, *, is_head: bool = False
    ) -> bytes:
        """Encode an answer other than a result; ``is_head`` leaves out the body that is described."""
        if status != HTTPStatus.OK:
            counts = self._shared.counters.http_status_counts
            counts[status] = counts.get(status, 0) + 1
        size_bytes = None if body is None else len(body)
        encoded = encode_head(status, content_type, size_bytes, self._shared.date_line + headers)
        return encoded if is_head or body is None else encoded + body

    def _write(self, data: bytes) -> None:
        """Keep what is to be written until the read is done, so that many answers are one system call."""
        self._gathered.append(data)
        self._gathered_size += len(data)
        if self._gathered_size > GATHERED_SIZE_BYTES_MAX:
            self._flush()

    def _flush(self) -> None:
        gathered, transport = self._gathered, self._transport
        if not gathered or transport is None:
            return
        self._gathered, self._gathered_size = [], 0
        if not transport.is_closing():
            transport.write(gathered[0] if len(gathered) == 1 else b"".join(gathered))
