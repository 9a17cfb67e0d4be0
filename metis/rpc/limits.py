"""
What one client may ask of the server, with defaults that suit a development node on loopback.

docs/rpc.md repeats this table; a test holds the two equal.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

__all__ = ["LogLimits", "RpcLimits"]


@dataclass(frozen=True, slots=True)
class LogLimits:
    """Most blocks that one query of logs may span, and most logs it may answer."""

    block_count_max: int = 100_000
    log_count_max: int = 20_000


@dataclass(frozen=True, slots=True)
class RpcLimits:
    """
    Limits of one server; all are counts, bytes or milliseconds, and at least 1.

    Attributes
    ----------
    body_size_bytes_max : an HTTP body, WebSocket message or IPC message; more is 413, close 1009,
        or a parse error.
    header_size_bytes_max : request line and headers together; more is 431.
    batch_count_max : requests in a batch; more is error -32005 for the batch.
    response_size_bytes_max : an answer, or the answers of a batch together; more is error -32005.
    connections_max : open connections over all listeners; more is 503 (HTTP) or an immediate close (IPC).
    bytes_in_flight_max : received message bytes waiting for their answers, over all connections;
        more is 503, close 1013, or an IPC close.
    requests_per_connection_max : messages of one connection in progress or waiting; the socket is
        not read while there are more.
    pool_queue_count_max : calls waiting for a pool thread; more is error -32005.
    pool_thread_count : threads that run pool methods.
    request_timeout_ms : from message to answer for pool and async methods; then error -32002.
    header_timeout_ms : from a request's first byte to its last header; then 408.
    body_timeout_ms : from the last header to the end of the body; then 408. Also for what is left
        of a WebSocket or IPC message.
    idle_timeout_ms : an HTTP connection without a request; then it is closed.
    write_timeout_ms : a client that does not read its answers; then it is disconnected.
    shutdown_timeout_ms : for requests in progress when the server stops; then they are cut off.
    ping_interval_ms : a WebSocket without traffic is pinged; without a sign of life for as long
        again, it is disconnected.
    subscriptions_per_connection_max : more is error -32005.
    subscriber_buffer_bytes_max : notifications that a subscriber has not read; more is close 1013.
    """

    body_size_bytes_max: int = 15 * 1024 * 1024
    header_size_bytes_max: int = 16 * 1024
    batch_count_max: int = 1_000
    response_size_bytes_max: int = 64 * 1024 * 1024
    connections_max: int = 512
    bytes_in_flight_max: int = 256 * 1024 * 1024
    requests_per_connection_max: int = 64
    pool_queue_count_max: int = 4_096
    pool_thread_count: int = max(2, os.cpu_count() or 1)
    request_timeout_ms: int = 30_000
    header_timeout_ms: int = 10_000
    body_timeout_ms: int = 30_000
    idle_timeout_ms: int = 120_000
    write_timeout_ms: int = 30_000
    shutdown_timeout_ms: int = 5_000
    ping_interval_ms: int = 30_000
    subscriptions_per_connection_max: int = 128
    subscriber_buffer_bytes_max: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{field.name} must be a whole number from 1, not {value!r}")

    @property
    def sweep_interval_s(self) -> float:
        """How often deadlines are looked at: a quarter of the shortest timeout, 20 ms to 1 s."""
        shortest_ms = min(
            self.header_timeout_ms,
            self.body_timeout_ms,
            self.idle_timeout_ms,
            self.write_timeout_ms,
            self.ping_interval_ms,
        )
        return min(1.0, max(0.02, shortest_ms / 4_000))
