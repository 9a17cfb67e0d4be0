"""An HTTP client that sends exactly the bytes it is told to, and reads answers one by one."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tests.unit.rpc.running_server import PROMPT_S


@dataclass(frozen=True)
class HttpAnswer:
    """Status, headers by lower-case name, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, PROMPT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def end(self) -> None:
        """Close the sending side."""
        self.socket.shutdown(socket.SHUT_WR)

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            return False
        self._buffer += data
        return bool(data)

    def answer(self, *, has_body: bool = True) -> HttpAnswer:
        """Read the next answer; ``has_body`` is false for answers to HEAD."""
        while b"\r\n\r\n" not in self._buffer:
            assert self._more(), f"the connection ended in a head: {self._buffer!r}"
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"{name} comes twice"
            headers[name.lower()] = value
        size = int(headers.get("content-length", "0")) if has_body else 0
        while len(self._buffer) < size:
            assert self._more(), "the connection ended in a body"
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return HttpAnswer(int(status), headers, body)

    def is_ended(self) -> bool:
        """Whether the server closes the connection and sends nothing more; waits for it."""
        return not self._buffer and not self._more()

    def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        while self._more():
            pass
        return self._buffer


def post(body: bytes, *extra: str, target: str = "/", host: str = "localhost:8545") -> bytes:
    """Encode a POST request; ``extra`` are header lines."""
    lines = [f"POST {target} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", *extra]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def call(method: str, *params: Any, request_id: Any = 1) -> bytes:
    """Encode a JSON-RPC request."""
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)}).encode()


def ask(address: tuple[str, int], request: bytes, *, has_body: bool = True) -> HttpAnswer:
    """Send one request on a connection of its own."""
    with RawClient(address) as client:
        client.send(request)
        return client.answer(has_body=has_body)


def result_of(address: tuple[str, int], body: bytes) -> Any:
    """Send a JSON-RPC message; the decoded answer, whatever it is."""
    answer = ask(address, post(body))
    assert answer.status == 200, answer
    return answer.json
