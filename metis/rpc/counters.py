"""
What the server has done, as plain numbers that a metrics page reads.

Invariant: written only on the event loop's thread. Cost: a handful of additions a request.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LATENCY_BOUNDS_US", "MethodCounters", "RpcCounters"]

LATENCY_BOUNDS_US = (
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000,
)  # fmt: skip
"""Upper bounds of the latency buckets, in microseconds; one more bucket holds what is slower."""

_BOUNDS_NS = tuple(bound * 1_000 for bound in LATENCY_BOUNDS_US)


class MethodCounters:
    """
    Calls of one method.

    Attributes
    ----------
    request_count : calls answered, notifications included. error_count : those answered with an error.
    time_ns : execution and encoding, summed; waiting for a pool thread is not in it.
    latency_counts : calls per bucket of :data:`LATENCY_BOUNDS_US`, the last one without bound.
    """

    __slots__ = ("error_count", "latency_counts", "request_count", "time_ns")

    def __init__(self) -> None:
        self.request_count = 0
        self.error_count = 0
        self.time_ns = 0
        self.latency_counts = [0] * (len(LATENCY_BOUNDS_US) + 1)

    def record(self, elapsed_ns: int, *, failed: bool) -> None:
        """Count one call."""
        self.request_count += 1
        self.time_ns += elapsed_ns
        self.latency_counts[bisect_left(_BOUNDS_NS, elapsed_ns)] += 1
        if failed:
            self.error_count += 1


@dataclass(slots=True)
class RpcCounters:
    """
    Everything one server counts since it was made.

    Attributes
    ----------
    methods : by method name, every registered method that was ever called.
    unknown_method_count : calls of methods that do not exist; their names come from clients, so
        they are not kept.
    invalid_message_count : messages and batch elements that were no valid request.
    connection_counts : connections accepted, by "http", "websocket", "ipc". A WebSocket was "http" first.
    connections_open : now. connections_refused : over the limit.
    http_status_counts : HTTP answers other than 200, by status.
    bytes_received, bytes_sent : message payloads, without HTTP heads and frame headers.
    bytes_in_flight : received message bytes that wait for their answers, now.
    timeout_count : requests that ran out of time.
    notification_count : subscription messages sent. subscriptions_open : now.
    slow_subscriber_count : subscribers disconnected because they did not read.
    """

    methods: dict[str, MethodCounters] = field(default_factory=dict)
    unknown_method_count: int = 0
    invalid_message_count: int = 0
    connection_counts: dict[str, int] = field(default_factory=lambda: {"http": 0, "websocket": 0, "ipc": 0})
    connections_open: int = 0
    connections_refused: int = 0
    http_status_counts: dict[int, int] = field(default_factory=dict)
    bytes_received: int = 0
    bytes_sent: int = 0
    bytes_in_flight: int = 0
    timeout_count: int = 0
    notification_count: int = 0
    subscriptions_open: int = 0
    slow_subscriber_count: int = 0

    def of_method(self, name: str) -> MethodCounters:
        """Return the counters of a registered method."""
        counters = self.methods.get(name)
        if counters is None:
            counters = self.methods[name] = MethodCounters()
        return counters

    def snapshot(self) -> dict[str, Any]:
        """Return all numbers as plain JSON values, for a metrics page or a log line."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__ if name != "methods"}
        values["connection_counts"] = dict(self.connection_counts)
        values["http_status_counts"] = {str(status): count for status, count in self.http_status_counts.items()}
        values["request_count"] = sum(method.request_count for method in self.methods.values())
        values["error_count"] = sum(method.error_count for method in self.methods.values())
        values["methods"] = {
            name: {
                "request_count": method.request_count,
                "error_count": method.error_count,
                "time_ns": method.time_ns,
                "latency_counts": list(method.latency_counts),
            }
            for name, method in sorted(self.methods.items())
        }
        return values
