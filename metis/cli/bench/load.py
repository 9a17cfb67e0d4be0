"""
The load maker: closed-loop clients on kept-alive HTTP connections, in a process of its own.

In: one JSON object on standard input (:class:`Load`). Out: one on standard output (:class:`Measured`).
Each connection sends a request, waits for the whole answer, and sends the next. Blocking sockets
behind one epoll cost about 10 µs a request, less than the servers that are measured.
"""

from __future__ import annotations

import base64
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import orjson

from metis.cli.bench.asking import BenchFailure

__all__ = ["Load", "Measured", "make_load"]

RECEIVE_SIZE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Load:
    """
    What to send.

    Attributes
    ----------
    port : of the server on loopback. connection_count : clients.
    duration_s : how long; 0 sends every body once instead.
    bodies : messages, taken in turn by whoever is free.
    """

    port: int
    connection_count: int
    duration_s: float
    bodies: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What came back.

    Attributes
    ----------
    answer_count, error_count : answers, and those of them that hold an error.
    elapsed_s : from the first request to the last answer.
    p50_ms, p99_ms : of the time from a request to its answer.
    first_answer : body of the first answer, for a look at it.
    """

    answer_count: int
    error_count: int
    elapsed_s: float
    p50_ms: float
    p99_ms: float
    first_answer: str

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.answer_count / self.elapsed_s


def make_load(load: Load) -> Measured:
    """
    Run the load maker and return what it measured.

    Raises
    ------
    BenchFailure : the server closed a connection or answered an error.
    """
    fields = asdict(load) | {"bodies": [base64.b64encode(body).decode() for body in load.bodies]}
    done = subprocess.run(
        [sys.executable, "-m", "metis.cli.bench.load"], input=orjson.dumps(fields), capture_output=True, check=False
    )
    if done.returncode != 0:
        raise BenchFailure(f"load: {done.stderr.decode(errors='replace').strip()[-500:]}")
    measured = Measured(**orjson.loads(done.stdout))
    if measured.error_count:
        raise BenchFailure(f"load: {measured.error_count} answers are errors: {measured.first_answer[:300]}")
    return measured


class _Connection:
    """One client: what it has read of an answer, and since when it waits."""

    __slots__ = ("answer", "sent_ns", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = b""
        self.sent_ns = 0


def _is_whole(answer: bytes) -> bool:
    """Whether head and body of an answer are there."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = answer[:end].lower()
    if not head.startswith(b"http/1.1 200"):
        raise SystemExit(f"the server answered {head[:60]!r}")
    begin = head.find(b"content-length:")
    if begin < 0:
        # Only whole answers end so: JSON-RPC bodies hold no line ends of their own here.
        return answer.endswith(b"0\r\n\r\n")
    size_bytes = int(head[begin + 15 :].split(b"\r\n", 1)[0])
    return len(answer) - end - 4 >= size_bytes


def _run(load: Load) -> Measured:
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    messages = [head % (load.port, len(body)) + body for body in load.bodies]
    connections = {}
    poll = select.epoll()
    for _ in range(load.connection_count):
        connection = _Connection(load.port)
        connections[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
    clock_ns = time.perf_counter_ns
    latencies_ns: list[int] = []
    error_count, first_answer, position, open_count = 0, b"", 0, 0
    started_ns = clock_ns()
    end_ns = started_ns + int(load.duration_s * 1e9)

    def send(connection: _Connection) -> bool:
        nonlocal position
        if load.duration_s:
            if clock_ns() >= end_ns:
                return False
        elif position >= len(messages):
            return False
        message = messages[position % len(messages)]
        position += 1
        connection.answer = b""
        connection.sent_ns = clock_ns()
        connection.socket.sendall(message)
        return True

    for connection in connections.values():
        open_count += send(connection)
    while open_count:
        for descriptor, _ in poll.poll(10):
            connection = connections[descriptor]
            received = connection.socket.recv(RECEIVE_SIZE_BYTES)
            if not received:
                raise SystemExit("the server closed a connection")
            answer = connection.answer = connection.answer + received if connection.answer else received
            if not _is_whole(answer):
                continue
            latencies_ns.append(clock_ns() - connection.sent_ns)
            if not first_answer or b'"error"' in answer:
                if b'"error"' in answer:
                    error_count += 1
                if error_count <= 1:
                    first_answer = answer[answer.find(b"\r\n\r\n") + 4 :]
            open_count -= not send(connection)
    elapsed_s = (clock_ns() - started_ns) / 1e9
    latencies_ns.sort()
    return Measured(
        answer_count=len(latencies_ns),
        error_count=error_count,
        elapsed_s=elapsed_s,
        p50_ms=latencies_ns[len(latencies_ns) // 2] / 1e6,
        p99_ms=latencies_ns[len(latencies_ns) * 99 // 100] / 1e6,
        first_answer=first_answer[:500].decode(errors="replace"),
    )


def _main() -> None:
    fields = orjson.loads(sys.stdin.buffer.read())
    fields["bodies"] = [base64.b64decode(body) for body in fields["bodies"]]
    sys.stdout.buffer.write(orjson.dumps(asdict(_run(Load(**fields)))))


if __name__ == "__main__":
    _main()
