"""
What the connections of one listener share, and how they are kept within their deadlines.

One server has one :class:`Shared` (counters, pool, open connections) and up to three listeners:
HTTP with WebSocket, IPC, and the authenticated one of the Engine API.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from metis.rpc.access import AccessPolicy
from metis.rpc.auth import TokenCheck
from metis.rpc.counters import RpcCounters
from metis.rpc.dispatch import Dispatcher
from metis.rpc.http_head import Terms
from metis.rpc.limits import RpcLimits
from metis.rpc.subscriptions import SubscriptionHub

__all__ = ["Connection", "Listener", "Page", "PageContent", "Shared"]


@dataclass(frozen=True, slots=True)
class PageContent:
    """The answer to a GET request."""

    content_type: str
    body: bytes
    status: int = 200


Page = Callable[[], PageContent]
"""Makes the content of a page; runs inline, so it must be fast."""


class Connection(Protocol):
    """An open connection, as the server's clock sees it."""

    def sweep(self, now_s: float) -> None:
        """Act on deadlines that have passed. ``now_s`` is the event loop's time."""

    def stop(self) -> None:
        """Finish what is in progress, take nothing new, then close."""

    def abort(self) -> None:
        """Close at once."""


@dataclass(slots=True)
class Shared:
    """What all connections of a server share; ``limits`` here are those that count over all of them."""

    loop: asyncio.AbstractEventLoop
    limits: RpcLimits
    counters: RpcCounters
    hub: SubscriptionHub
    connections: set[Connection] = field(default_factory=set)
    is_stopping: bool = False
    date_line: bytes = b""
    ok_lines: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    """How the head of an answer to a message begins, Date header included."""

    def stop(self) -> None:
        """Let every connection finish what is in progress, and refuse new ones."""
        self.is_stopping = True
        for connection in list(self.connections):
            connection.stop()

    def admit(self, connection: Connection, transport_name: str) -> bool:
        """Count a new connection; False when it is over the limit and must be refused."""
        self.connections.add(connection)
        self.counters.connection_counts[transport_name] += 1
        self.counters.connections_open = len(self.connections)
        if len(self.connections) <= self.limits.connections_max and not self.is_stopping:
            return True
        self.counters.connections_refused += 1
        return False

    def replace(self, old: Connection, new: Connection, transport_name: str) -> None:
        """Count a connection that changed its protocol."""
        self.connections.discard(old)
        self.connections.add(new)
        self.counters.connection_counts[transport_name] += 1

    def forget(self, connection: Connection) -> None:
        """Count a connection that is gone."""
        self.connections.discard(connection)
        self.counters.connections_open = len(self.connections)

    def hold_bytes(self, size_bytes: int) -> bool:
        """Count received bytes that wait for their answer; False when there are too many."""
        self.counters.bytes_in_flight += size_bytes
        return self.counters.bytes_in_flight <= self.limits.bytes_in_flight_max

    def release_bytes(self, size_bytes: int) -> None:
        """Count bytes as answered, or gone with their connection."""
        self.counters.bytes_in_flight -= size_bytes

    def sweep(self) -> None:
        """Let every connection look at its deadlines, and renew the Date header."""
        self.date_line = b"Date: %b\r\n" % http_date(time.time()).encode()
        self.ok_lines = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + self.date_line
        now_s = self.loop.time()
        for connection in list(self.connections):
            connection.sweep(now_s)


@dataclass(slots=True)
class Listener:
    """
    One address with its rules.

    Attributes
    ----------
    dispatcher : answers messages against this listener's registry.
    limits : what one connection of this listener may ask.
    access : the browser rules. token_check : the JWT rule, or None where no token is needed.
    pages : GET paths. allows_websocket : whether connections may be upgraded.
    known_heads : decisions about request heads, by their bytes; see metis.rpc.http_request.
    """

    shared: Shared
    limits: RpcLimits
    dispatcher: Dispatcher
    access: AccessPolicy
    token_check: TokenCheck | None
    pages: Mapping[str, Page]
    allows_websocket: bool = True
    known_heads: dict[bytes, Terms] = field(default_factory=dict)


def http_date(now_s: float) -> str:
    """
    Format a time for the Date header (RFC 9110 §5.6.7).

    Written out because strftime follows the locale, and email.utils costs milliseconds to import.
    """
    moment = time.gmtime(now_s)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.tm_wday]
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[moment.tm_mon - 1]
    clock = f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02}"
    return f"{day}, {moment.tm_mday:02} {month} {moment.tm_year} {clock} GMT"
