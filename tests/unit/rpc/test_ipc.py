"""The Unix socket: the same methods, values without framing, and a file that is its owner's alone."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from metis.rpc import ListenError, RpcConfig, RpcLimits
from metis.rpc.ipc import open_socket_file
from tests.unit.rpc.raw_client import call
from tests.unit.rpc.running_server import PROMPT_S, RunningServer, eventually, running_server


class IpcClient:
    """A connection that reads lines."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PROMPT_S)
        self.socket.connect(os.fspath(path))
        self._lines = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> Any:
        line = self._lines.readline()
        assert line.endswith(b"\n"), "the connection ended"
        return json.loads(line)

    def is_ended(self) -> bool:
        return self._lines.readline() == b""

    def close(self) -> None:
        self._lines.close()
        self.socket.close()


@contextmanager
def ipc(path: Path, **limits: int) -> Iterator[tuple[RunningServer, Callable[[], IpcClient]]]:
    clients: list[IpcClient] = []

    def connect() -> IpcClient:
        clients.append(IpcClient(path))
        return clients[-1]

    with running_server(RpcConfig(port=None, ipc_path=path, limits=RpcLimits(**limits))) as server:
        yield server, connect
        for client in clients:
            client.close()
        eventually(lambda: server.server.counters.connections_open == 0)
        assert server.server.counters.bytes_in_flight == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.ipc"


def test_requests__with_and_without_lines__are_answered_in_lines(path: Path) -> None:
    with ipc(path) as (_, connect):
        client = connect()
        client.send(call("test_echo", 1) + call("test_echo", 2) + b"\n\n" + call("test_echo", 3) + b"\n")
        assert [client.line()["result"] for _ in range(3)] == [1, 2, 3]
        client.send(b"[" + call("test_pool", 4) + b"," + call("test_async", 5) + b"]")
        assert [answer["result"] for answer in client.line()] == [[True, 4], 5]
        client.send(b'{"jsonrpc":"2.0","method":"test_echo"}' + call("test_echo", "after a notification"))
        assert client.line()["result"] == "after a notification"


def test_request__in_single_bytes__is_answered(path: Path) -> None:
    with ipc(path) as (_, connect):
        client = connect()
        for byte in call("test_echo", '"\\{'):
            client.send(bytes([byte]))
        assert client.line()["result"] == '"\\{'


def test_message__balanced_but_not_json__is_answered_and_the_next_one_too(path: Path) -> None:
    with ipc(path) as (_, connect):
        client = connect()
        client.send(b"{abc}1" + call("test_echo", 1))
        assert [client.line()["error"]["code"] for _ in range(2)] == [-32700, -32600]
        assert client.line()["result"] == 1


def test_bytes__that_begin_no_value__are_answered_and_end_the_connection(path: Path) -> None:
    with ipc(path) as (server, connect):
        client = connect()
        client.send(call("test_echo", 1) + b"'oops" + call("test_echo", 2))
        assert client.line()["result"] == 1
        assert client.line()["error"]["code"] == -32700
        assert client.is_ended()
        assert server.server.counters.invalid_message_count == 1


def test_message__over_the_limit__is_answered_and_ends_the_connection(path: Path) -> None:
    with ipc(path, body_size_bytes_max=1_000) as (_, connect):
        client = connect()
        client.send(b'"' + b"x" * 2_000)
        assert client.line()["error"]["code"] == -32005
        assert client.is_ended()


def test_client__that_ends_its_side__still_gets_its_answers(path: Path) -> None:
    with ipc(path) as (_, connect):
        client = connect()
        client.send(call("test_pool", 1) + call("test_async", 2))
        client.socket.shutdown(socket.SHUT_WR)
        assert len([client.line(), client.line()]) == 2
        assert client.is_ended()


def test_subscription__over_ipc__sends_lines(path: Path) -> None:
    with ipc(path) as (server, connect):
        client = connect()
        client.send(call("eth_subscribe", "newHeads"))
        subscription = client.line()["result"]
        server.run(lambda: server.server.hub.publish("newHeads", None, b'{"number":"0x1"}'))
        assert client.line()["params"] == {"subscription": subscription, "result": {"number": "0x1"}}


def test_subscriber__that_does_not_read__is_disconnected(path: Path) -> None:
    with ipc(path, subscriber_buffer_bytes_max=100_000) as (server, connect):
        client = connect()
        client.send(call("eth_subscribe", "newHeads"))
        client.line()
        event = json.dumps("x" * 50_000).encode()
        for _ in range(100):
            server.run(lambda: server.server.hub.publish("newHeads", None, event))
        eventually(lambda: server.server.counters.connections_open == 0)
        assert server.server.counters.slow_subscriber_count == 1


@pytest.mark.parametrize(
    ("limits", "data"),
    [({"body_timeout_ms": 30}, b'{"js'), ({"bytes_in_flight_max": 3}, b'"abc"'), ({"bytes_in_flight_max": 3}, b'"abc')],
)
def test_message__half_sent_or_too_many_bytes__ends_the_connection(
    path: Path, limits: dict[str, int], data: bytes
) -> None:
    with ipc(path, **limits) as (_, connect):
        client = connect()
        client.send(data)
        assert client.is_ended()


def test_connections__over_the_limit__are_closed(path: Path) -> None:
    with ipc(path, connections_max=1) as (_, connect):
        first = connect()
        first.send(call("test_echo", 1))
        first.line()
        assert connect().is_ended()


# The file.


def test_socket_file__while_serving__is_its_owners_alone_and_gone_afterwards(path: Path) -> None:
    with ipc(path) as (_, connect):
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        connect()
    assert not path.exists()


def test_socket_file__left_behind_by_a_killed_process__is_replaced(path: Path) -> None:
    left_behind = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left_behind.bind(os.fspath(path))
    left_behind.close()
    with ipc(path) as (_, connect):
        client = connect()
        client.send(call("test_echo", 1))
        assert client.line()["result"] == 1


def test_socket_file__of_a_living_process__is_left_alone(path: Path) -> None:
    with ipc(path) as (_, connect):
        with pytest.raises(ListenError, match="another process listens there"):
            open_socket_file(path)
        client = connect()
        client.send(call("test_echo", 1))
        assert client.line()["result"] == 1


def test_socket_file__where_another_file_is__is_refused(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(ListenError, match="not a socket"):
        open_socket_file(path)
    assert path.read_text() == "precious"


def test_socket_file__with_a_path_too_long__is_refused(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="longer than"):
        open_socket_file(tmp_path / ("x" * 120))


def test_socket_file__in_a_missing_folder__is_refused(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="No such file"):
        open_socket_file(tmp_path / "missing" / "node.ipc")


def test_socket_file__replaced_by_another_process__is_not_removed_at_stop(path: Path) -> None:
    with ipc(path):
        path.unlink()
        other = open_socket_file(path)
    assert path.exists()
    other.close()
