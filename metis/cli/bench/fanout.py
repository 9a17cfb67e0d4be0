"""How fast new heads reach many WebSocket subscribers: from the first block mined to the last notification read."""

from __future__ import annotations

import base64
import os
import select
import socket
import struct
import time

import orjson

from metis.cli.bench.asking import BenchFailure, Client

__all__ = ["notifications_per_s"]

MARK = b'"eth_subscription"'
TIMEOUT_S = 60.0


def notifications_per_s(port: int, subscriber_count: int, block_count: int) -> float:
    """
    Subscribe to newHeads many times, mine, and read everything.

    Raises
    ------
    BenchFailure : the server refuses a subscriber, or notifications stay away for a minute.
    """
    subscribers = [_subscribe(port) for _ in range(subscriber_count)]
    client = Client(port)
    poll = select.epoll()
    for subscriber in subscribers:
        subscriber.setblocking(False)
        poll.register(subscriber, select.EPOLLIN)
    by_descriptor = {subscriber.fileno(): subscriber for subscriber in subscribers}
    rest = dict.fromkeys(by_descriptor, b"")
    expected, seen = subscriber_count * block_count, 0
    started_s = time.perf_counter()
    for _ in range(block_count):
        client.ask("evm_mine")
    while seen < expected:
        for descriptor, _ in poll.poll(1):
            received = rest[descriptor] + by_descriptor[descriptor].recv(1 << 20)
            found = received.count(MARK)
            seen += found
            # A mark may be cut in two by a read.
            rest[descriptor] = received[received.rfind(MARK) + len(MARK) :][-len(MARK) :] if found else received[-32:]
        if time.perf_counter() - started_s > TIMEOUT_S:
            raise BenchFailure(f"newHeads: {seen} of {expected} notifications came in {TIMEOUT_S:.0f} s")
    elapsed_s = time.perf_counter() - started_s
    for subscriber in subscribers:
        subscriber.close()
    return expected / elapsed_s


def _subscribe(port: int) -> socket.socket:
    """Open a WebSocket and subscribe (RFC 6455)."""
    subscriber = socket.create_connection(("127.0.0.1", port), timeout=10)
    key = base64.b64encode(os.urandom(16)).decode()
    subscriber.sendall(
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += subscriber.recv(4096)
    if b" 101 " not in head.split(b"\r\n", 1)[0]:
        raise BenchFailure(f"newHeads: no WebSocket: {head[:80]!r}")
    subscriber.sendall(
        _frame(orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}))
    )
    answer = b""
    while b'"result"' not in answer:
        received = subscriber.recv(4096)
        if not received or b'"error"' in received:
            raise BenchFailure(f"newHeads: not subscribed: {received[:200]!r}")
        answer += received
    return subscriber


def _frame(payload: bytes) -> bytes:
    """Make a masked text frame of up to 65,535 bytes; the mask is zero, for nobody needs hiding on loopback."""
    size = len(payload)
    head = struct.pack("!BB", 0x81, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x81, 0x80 | 126, size)
    return head + bytes(4) + payload
