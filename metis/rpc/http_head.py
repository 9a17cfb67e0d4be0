"""
Heads of HTTP messages: which requests are served, and how answers begin.

In: method, target and headers of a request. Out: a refusal with its status, or how to go on; and
the encoded head of an answer. No input or output happens here.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING

from metis.rpc.auth import Unauthorized
from metis.rpc.frames import accept_token

if TYPE_CHECKING:
    from metis.rpc.listener import Listener

__all__ = ["HeadRefused", "RequestHead", "Route", "Terms", "encode_head", "switching_protocols"]

JSON_TYPES = frozenset({b"application/json", b"application/json-rpc", b"application/jsonrequest"})
WEBSOCKET_VERSION = b"13"
WEBSOCKET_KEY_SIZE_BYTES = 16
RPC_PATH = "/"


CLOSE = b"Connection: close\r\n"
KEEP_ALIVE = b"Connection: keep-alive\r\n"


class Route(Enum):
    """What is done with a request whose head is in order."""

    CALL = "call"
    PAGE = "page"
    PREFLIGHT = "preflight"
    WEBSOCKET = "websocket"


class HeadRefused(Exception):
    """A request is answered with an HTTP error, and the connection closed. Never leaves this package."""

    def __init__(self, status: HTTPStatus, problem: str, headers: bytes = b"") -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem
        self.headers = headers


@dataclass(slots=True)
class RequestHead:
    """
    Request line and headers.

    ``headers`` has lower-case names; of repeated headers the last is kept, and ``is_ambiguous``
    says that one was repeated which must not be.
    """

    method: bytes = b""
    target: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    is_ambiguous: bool = False
    is_upgrade: bool = False
    is_http_1_0: bool = False
    keeps_alive: bool = True

    @property
    def path(self) -> str:
        """The target without scheme, authority and query."""
        target = self.target.partition(b"?")[0]
        if b"://" in target[:9]:  # absolute form, as sent to proxies
            target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
        return target.decode("latin-1") or RPC_PATH

    @property
    def is_websocket(self) -> bool:
        """Whether this asks for a WebSocket, rightly or not."""
        return self.is_upgrade and self.method == b"GET" and self.headers.get(b"upgrade", b"").lower() == b"websocket"

    def without_upgrade(self) -> bytes:
        """Encode the head again as one that offers no other protocol, with the body to follow."""
        headers = {name: value for name, value in self.headers.items() if name != b"upgrade"}
        options = [option.strip() for option in headers.pop(b"connection", b"").split(b",")]
        kept = [option for option in options if option.lower() in (b"close", b"keep-alive")]
        lines = [b"%b: %b\r\n" % header for header in headers.items()]
        if kept:
            lines.append(b"Connection: %b\r\n" % b", ".join(kept))
        version = b"HTTP/1.0" if self.is_http_1_0 else b"HTTP/1.1"
        return b"%b %b %b\r\n%b\r\n" % (self.method, self.target, version, b"".join(lines))

    def content_length(self) -> int:
        """The announced body size in bytes; 0 where there is none, or it is not announced."""
        # UNWRAP: the HTTP parser refuses lengths that are not decimal digits.
        return int(self.headers.get(b"content-length", b"0"))

    def terms(self, listener: Listener) -> Terms:
        """
        Decide about the request.

        Raises
        ------
        HeadRefused : with the status and what to tell the client.
        """
        route = self._route(listener)
        headers = listener.access.cors_headers(self.headers.get(b"origin"))
        if not self.keeps_alive:
            headers += CLOSE
        elif self.is_http_1_0:
            headers += KEEP_ALIVE
        return Terms(route, self, headers, not self.keeps_alive, self.content_length())

    def _route(self, listener: Listener) -> Route:
        self._check_sender(listener)
        path = self.path
        if self.method == b"POST":
            if path != RPC_PATH:
                raise HeadRefused(HTTPStatus.NOT_FOUND, f"JSON-RPC is at {RPC_PATH}")
            self._check_body(listener)
            return Route.CALL
        if self.method == b"OPTIONS":
            return Route.PREFLIGHT
        if self.method not in (b"GET", b"HEAD"):
            raise HeadRefused(HTTPStatus.METHOD_NOT_ALLOWED, "use POST", b"Allow: POST, GET, HEAD, OPTIONS\r\n")
        if self.is_websocket:
            if path != RPC_PATH or not listener.allows_websocket:
                raise HeadRefused(HTTPStatus.NOT_FOUND, "no WebSocket here")
            self._check_websocket()
            return Route.WEBSOCKET
        if path not in listener.pages:
            raise HeadRefused(HTTPStatus.NOT_FOUND, "no such page")
        return Route.PAGE

    def _check_sender(self, listener: Listener) -> None:
        """Check Host, token and Origin."""
        host = self.headers.get(b"host")
        if self.is_ambiguous or (host is None and not self.is_http_1_0):
            raise HeadRefused(HTTPStatus.BAD_REQUEST, "expected exactly one Host header")
        if host and not listener.access.allows_host(host):
            raise HeadRefused(HTTPStatus.FORBIDDEN, "invalid host specified")
        if listener.token_check is not None:
            try:
                listener.token_check.check(self.headers.get(b"authorization"))
            except Unauthorized as problem:
                raise HeadRefused(HTTPStatus.UNAUTHORIZED, str(problem), b"WWW-Authenticate: Bearer\r\n") from None
        if not listener.access.allows_origin(self.headers.get(b"origin")):
            raise HeadRefused(HTTPStatus.FORBIDDEN, "origin not allowed")

    def _check_body(self, listener: Listener) -> None:
        """Check what a POST request says about its body."""
        content_type = self.headers.get(b"content-type")
        if content_type is None:
            # A page may send a body without a type and without a preflight; a program may forget it.
            if b"origin" in self.headers:
                raise HeadRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "missing content type, use application/json")
        elif content_type.partition(b";")[0].strip().lower() not in JSON_TYPES:
            problem = "invalid content type, only application/json is supported"
            raise HeadRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
        if self.headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise HeadRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "compressed requests are not supported")
        size_max = listener.limits.body_size_bytes_max
        if self.content_length() > size_max:
            problem = f"content length too large ({self.content_length()}>{size_max})"
            raise HeadRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem)
        if self.headers.get(b"expect", b"100-continue").lower() != b"100-continue":
            raise HeadRefused(HTTPStatus.EXPECTATION_FAILED, "only 100-continue can be expected")

    def _check_websocket(self) -> None:
        """Check an opening handshake (RFC 6455 §4.2.1)."""
        if self.is_http_1_0:
            raise HeadRefused(HTTPStatus.BAD_REQUEST, "a WebSocket begins with HTTP/1.1")
        if self.headers.get(b"sec-websocket-version") != WEBSOCKET_VERSION:
            version = b"Sec-WebSocket-Version: %b\r\n" % WEBSOCKET_VERSION
            raise HeadRefused(HTTPStatus.UPGRADE_REQUIRED, "unsupported WebSocket version", version)
        try:
            key = base64.b64decode(self.headers.get(b"sec-websocket-key", b""), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != WEBSOCKET_KEY_SIZE_BYTES:
            raise HeadRefused(HTTPStatus.BAD_REQUEST, "invalid Sec-WebSocket-Key")


@dataclass(frozen=True, slots=True)
class Terms:
    """
    How a request is answered; the same for every request with the same head.

    Attributes
    ----------
    headers : lines that the answer carries (CORS, Connection). closes : whether it is the last one.
    content_length : the announced body size in bytes.
    """

    route: Route
    head: RequestHead
    headers: bytes
    closes: bool
    content_length: int


def encode_head(status: int, content_type: str, body_size: int | None, headers: bytes) -> bytes:
    """
    Encode the head of an answer; ``body_size`` None means an answer that has no body at all.

    ``headers`` are complete lines, each with its line end.
    """
    line = b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
    if body_size is None:
        return b"%b%b\r\n" % (line, headers)
    described = b"Content-Type: %b\r\n" % content_type.encode() if content_type else b""
    return b"%b%bContent-Length: %d\r\n%b\r\n" % (line, described, body_size, headers)


def switching_protocols(head: RequestHead, headers: bytes) -> bytes:
    """Encode the answer that turns the connection into a WebSocket."""
    accept = accept_token(head.headers[b"sec-websocket-key"])
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n" % accept
    return encode_head(HTTPStatus.SWITCHING_PROTOCOLS, "", None, upgrade + headers)
