"""
Requests of one HTTP connection: from bytes to complete messages, within the limits.

In: what a client sends. Out: calls on a :class:`RequestSink`: requests in the order they came, or
one refusal after which nothing follows. Invariant: at most one head and one body are kept here.
Cost: a keep-alive client that repeats a head byte for byte is parsed once: the decision about it is
kept per listener, and later requests cost one search and one dictionary look-up.
Source: RFC 9112; parsing is llhttp's, through httptools.

    IDLE → HEAD → BODY → (request) → IDLE
      └──────┴──────┴─→ (refusal, or the last request) → ENDED
"""

from __future__ import annotations

import logging
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import httptools

from metis.rpc.http_head import HeadRefused, RequestHead, Route, Terms

if TYPE_CHECKING:
    from metis.rpc.listener import Listener

__all__ = ["Phase", "RequestReader", "RequestSink"]

log = logging.getLogger("metis.rpc")

HEAD_END = b"\r\n\r\n"
KNOWN_HEADS_MAX = 1_024
KNOWN_HEAD_SIZE_BYTES_MAX = 2_048
# Chunk headers and trailers come on top of a body; more than this on top is an attack.
CHUNKING_SIZE_BYTES_MAX = 1024 * 1024
# Headers that must not be repeated: two readers could disagree on which one counts.
SINGLE_HEADERS = frozenset(
    {b"host", b"content-type", b"origin", b"authorization", b"sec-websocket-key", b"sec-websocket-version"}
)


class Phase(Enum):
    """Where a connection is in receiving."""

    IDLE = "between requests"
    HEAD = "request line and headers"
    BODY = "body"
    ENDED = "what still comes is dropped"


# A name of its own: looking up a member in an enum's class costs as much as a function call.
IDLE = Phase.IDLE


class RequestSink(Protocol):
    """Takes what a reader completes."""

    def take_request(self, terms: Terms, payload: bytes) -> None:
        """Take a request; its payload counts as bytes in flight until the sink releases it."""

    def take_refusal(self, status: HTTPStatus, problem: str, headers: bytes) -> None:
        """Take the reason why nothing more will come."""

    def take_websocket(self, head: RequestHead, rest: bytes) -> None:
        """Take a valid opening handshake, and the bytes after it."""

    def take_expectation(self) -> None:
        """Tell the client to send its body ("100 Continue"), if it is its turn."""


class RequestReader:
    """Reads the requests of one connection. httptools calls the ``on_`` methods while it is fed."""

    def __init__(self, listener: Listener, sink: RequestSink) -> None:
        self._listener = listener
        self._shared = listener.shared
        self._limits = listener.limits
        self._sink = sink
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self.phase = Phase.IDLE
        self.phase_since_s = listener.shared.loop.time()
        self.head = RequestHead()
        self._terms: Terms | None = None
        self._head_size = 0
        self._fed_size = 0
        self._begun_count = 0
        self._body: list[bytes] = []
        self._body_size = 0
        # The read that is being parsed, where a request began with its first byte; else empty.
        self._whole_read = b""

    def known_request(self, data: bytes) -> Terms | None:
        """
        Return the terms of a read that is one whole request with a known head, else None.

        What the caller gets counts as bytes in flight, as with :meth:`RequestSink.take_request`.
        """
        end = data.find(HEAD_END, 0, KNOWN_HEAD_SIZE_BYTES_MAX)
        if end < 0 or self.phase is not IDLE:
            return None
        body_begin = end + len(HEAD_END)
        terms = self._listener.known_heads.get(data[:body_begin])
        if terms is None or body_begin + terms.content_length != len(data):
            return None
        if self._shared.hold_bytes(terms.content_length):
            return terms
        self._give_back(terms)
        return None

    def feed(self, data: bytes) -> None:
        """Take bytes, and give the sink what they complete."""
        begins_here = self.phase is Phase.IDLE
        if begins_here:
            data = self._take_known(data)
            if not data:
                return
            self._whole_read = data
        if self.phase is Phase.ENDED:
            return
        self._begun_count = 0
        size_bytes = len(data)
        while data:
            data = self._parse(data)
        self._whole_read = b""
        if self._begun_count == (1 if begins_here else 0):
            self._count_fed(size_bytes)

    def close(self) -> None:
        """Drop what is incomplete; nothing more will come."""
        self.phase = Phase.ENDED
        self._parser = None  # it holds this object, and this object holds it
        self._drop_body()

    def refuse(self, status: HTTPStatus, problem: str, headers: bytes = b"") -> None:
        """End with a refusal, unless it has ended already."""
        if self.phase is Phase.ENDED:
            return
        self._drop_body()
        self._set_phase(Phase.ENDED)
        self._sink.take_refusal(status, problem, headers)

    def restart_clock(self, now_s: float) -> None:
        """Count the phase from now: until now the client was served."""
        self.phase_since_s = now_s

    # From httptools.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._set_phase(Phase.HEAD)
        self.head = RequestHead()
        self._head_size = self._fed_size = 0
        self._begun_count += 1

    def on_url(self, url: bytes) -> None:
        """Take the request target, or a part of it."""
        self.head.target += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers after the body are dropped."""
        if self.phase is not Phase.HEAD:
            return
        name = name.lower()
        if name in self.head.headers and name in SINGLE_HEADERS:
            self.head.is_ambiguous = True
        self.head.headers[name] = value
        self._count_head(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        """Decide about the request before its body comes."""
        parser, head = self._parser, self.head
        if self.phase is not Phase.HEAD or parser is None:
            return
        head.method = parser.get_method()
        head.is_upgrade = parser.should_upgrade()
        head.is_http_1_0 = parser.get_http_version() == "1.0"
        head.keeps_alive = parser.should_keep_alive()
        self._terms = None
        if head.is_upgrade and head.method != b"CONNECT" and not head.is_websocket:
            return  # llhttp stops here; _after_upgrade begins again
        try:
            self._terms = head.terms(self._listener)
        except HeadRefused as refused:
            self.refuse(refused.status, refused.problem, refused.headers)
            return
        self._set_phase(Phase.BODY)
        if b"expect" in head.headers and not head.is_http_1_0:
            self._sink.take_expectation()

    def on_body(self, chunk: bytes) -> None:
        """Take a part of the body, within the limits."""
        if self.phase is not Phase.BODY:
            return
        self._body_size += len(chunk)
        fits = self._shared.hold_bytes(len(chunk))
        if self._body_size > self._limits.body_size_bytes_max:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request body too large")
        elif not fits:
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "server is busy")
        else:
            self._body.append(chunk)

    def on_message_complete(self) -> None:
        """Give the request to the sink."""
        terms = self._terms
        if self.phase is not Phase.BODY or terms is None or terms.route is Route.WEBSOCKET:
            return
        payload = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body, self._body_size = [], 0
        self._set_phase(Phase.ENDED if terms.closes else Phase.IDLE)
        self._remember(terms, payload)
        self._sink.take_request(terms, payload)

    # Inside.

    def _parse(self, data: bytes) -> bytes:
        """Parse once; return what has to be parsed again, because the parser stopped at an upgrade."""
        if self._parser is None:
            return b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._after_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as problem:
            log.error("an HTTP callback failed", exc_info=problem.__context__)
            self.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
        except httptools.HttpParserError:
            # Also for bytes after a request with "Connection: close", where refusing does nothing.
            self.refuse(HTTPStatus.BAD_REQUEST, "malformed HTTP request")
        return b""

    def _take_known(self, data: bytes) -> bytes:
        """Take complete requests whose heads are known off the front of a read; return the rest."""
        known_heads = self._listener.known_heads
        begin = 0
        while (end := data.find(HEAD_END, begin, begin + KNOWN_HEAD_SIZE_BYTES_MAX)) >= 0:
            body_begin = end + len(HEAD_END)
            terms = known_heads.get(data[begin:body_begin])
            if terms is None:
                break
            body_end = body_begin + terms.content_length
            if body_end > len(data):
                break
            if not self._shared.hold_bytes(terms.content_length):
                self._give_back(terms)
                self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "server is busy")
                return b""
            self._sink.take_request(terms, data[body_begin:body_end])
            if body_end == len(data):
                return b""
            begin = body_end
        return data[begin:] if begin else data

    def _give_back(self, terms: Terms) -> None:
        """Count the body of a known request no longer: it did not fit."""
        self._shared.release_bytes(terms.content_length)

    def _remember(self, terms: Terms, payload: bytes) -> None:
        """
        Keep the decision about a head, if the next one with the same bytes gets the same.

        That is so for a plain call, alone in its read, on a listener whose decision does not depend
        on the time as a token's does.
        """
        head_size = len(self._whole_read) - len(payload)
        if (
            terms.route is Route.CALL
            and not terms.closes
            and terms.content_length == len(payload)
            and 0 < head_size <= KNOWN_HEAD_SIZE_BYTES_MAX
            and self._whole_read.find(HEAD_END) + len(HEAD_END) == head_size
            and b"transfer-encoding" not in self.head.headers
            and not self.head.is_upgrade
            and self._listener.token_check is None
        ):
            known_heads = self._listener.known_heads
            if len(known_heads) >= KNOWN_HEADS_MAX:
                known_heads.clear()
            known_heads[self._whole_read[:head_size]] = terms

    def _set_phase(self, phase: Phase) -> None:
        self.phase = phase
        self.phase_since_s = self._shared.loop.time()

    def _drop_body(self) -> None:
        self._shared.release_bytes(self._body_size)
        self._body, self._body_size = [], 0

    def _count_head(self, size_bytes: int) -> None:
        """Count a parsed part of the head."""
        self._head_size += size_bytes
        if self._head_size > self._limits.header_size_bytes_max:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too large")

    def _count_fed(self, size_bytes: int) -> None:
        """
        Count the bytes of a read that holds a part of one request and nothing of another.

        The parser reports a header, or a trailer after the body, when it is complete: this bounds
        one that never ends.
        """
        self._fed_size += size_bytes
        if self.phase is Phase.HEAD and self._fed_size > self._limits.header_size_bytes_max:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too large")
        with_chunking_max = 2 * self._limits.body_size_bytes_max + CHUNKING_SIZE_BYTES_MAX
        if self.phase is Phase.BODY and self._fed_size > with_chunking_max:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request body too large")

    def _after_upgrade(self, rest: bytes) -> bytes:
        """
        Go on as a WebSocket, or as HTTP where another protocol was offered, which is ignored.

        Java's client offers h2c with every request. llhttp takes what follows such a head for the
        other protocol, so it is shown the head again without the offer, and then the body.
        """
        if self.phase is Phase.ENDED:
            return b""
        if self._terms is not None:
            self._sink.take_websocket(self.head, rest)
            return b""
        self._parser = httptools.HttpRequestParser(self)
        self._whole_read = b""
        return self.head.without_upgrade() + rest
