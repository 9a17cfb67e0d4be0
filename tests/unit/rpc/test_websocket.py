"""WebSocket on the port of HTTP: the handshake, many requests at once, keep-alive and closing."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from metis.rpc import RpcConfig, RpcLimits
from tests.unit.rpc.raw_client import RawClient, ask, call, post
from tests.unit.rpc.running_server import PROMPT_S, RunningServer, eventually, running_server

Address = tuple[str, int]
KEY = base64.b64encode(bytes(16)).decode()


@contextmanager
def websocket(address: Address, **options: Any) -> Iterator[ClientConnection]:
    options = {"ping_interval": None, "max_size": None, "close_timeout": PROMPT_S, "proxy": None, **options}
    with connect(f"ws://{address[0]}:{address[1]}", **options) as client:
        yield client


def result(client: ClientConnection, method: str, *params: Any) -> Any:
    client.send(call(method, *params).decode())
    return json.loads(client.recv(PROMPT_S))["result"]


def upgrade(**changes: str | None) -> bytes:
    """Encode an opening handshake with some headers changed, or left out."""
    headers: dict[str, str | None] = {
        "Host": "localhost",
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(["GET / HTTP/1.1", *lines, "", ""]).encode()


def masked(opcode: Opcode, payload: bytes, *, final: bool = True) -> bytes:
    return Frame(opcode, payload, fin=final).serialize(mask=True)


def test_websocket__on_the_port_of_http__answers_text_and_binary(address: Address) -> None:
    with websocket(address) as client:
        assert result(client, "test_echo", "ü") == "ü"
        client.send(call("test_pool", 5))
        answer = client.recv(PROMPT_S)
        assert isinstance(answer, str)
        assert json.loads(answer)["result"] == [True, 5]
        client.send(b"not json")
        assert json.loads(client.recv(PROMPT_S))["error"]["code"] == -32700
        client.send('[{"jsonrpc":"2.0","method":"test_echo"}]')  # nothing comes back
        assert result(client, "test_echo", "next") == "next"
    assert ask(address, post(call("test_echo", 1))).json["result"] == 1


def test_requests__many_at_once__are_all_answered(address: Address) -> None:
    with websocket(address) as client:
        for index in range(1_000):
            client.send(call(("test_echo", "test_pool", "test_async")[index % 3], request_id=index))
        assert {json.loads(client.recv(PROMPT_S))["id"] for _ in range(1_000)} == set(range(1_000))


def test_request__that_waits__does_not_hold_up_the_next(server: RunningServer) -> None:
    with running_server() as own, websocket(own.address) as client:
        client.send(call("test_gate", request_id="slow"))
        assert own.gate.entered.acquire(timeout=PROMPT_S)
        assert result(client, "test_echo", "fast") == "fast"
        own.gate.opened.set()
        assert json.loads(client.recv(PROMPT_S))["id"] == "slow"


def test_message__of_many_megabytes__is_answered(address: Address) -> None:
    with websocket(address) as client:
        assert result(client, "test_sizeOf", "0x" + "00" * 5_000_000) == 5_000_000
        assert len(result(client, "test_large", hex(10_000_000))) == 10_000_000


def test_message__in_fragments__is_answered(address: Address) -> None:
    with websocket(address) as client:
        client.send(chr(byte) for byte in call("test_echo", "pieces"))
        assert json.loads(client.recv(PROMPT_S))["result"] == "pieces"


def test_frames__right_behind_the_handshake__are_read(address: Address) -> None:
    with RawClient(address) as client:
        client.send(upgrade() + masked(Opcode.TEXT, call("test_echo", 1)) + masked(Opcode.PING, b"?"))
        assert client.answer(has_body=False).status == 101
        client.send(masked(Opcode.CLOSE, b"\x03\xe8"))
        assert client.rest() == (
            b'\x81\x24{"jsonrpc":"2.0","id":1,"result":1}'[:2]
            + b'{"jsonrpc":"2.0","id":1,"result":1}'
            + b"\x8a\x01?"
            + b"\x88\x02\x03\xe8"
        ).replace(b"\x81\x24", bytes([0x81, 35]))


def test_handshake__after_requests_on_the_connection__is_accepted(address: Address) -> None:
    with RawClient(address) as client:
        client.send(post(call("test_echo", 1)))
        assert client.answer().json["result"] == 1
        client.send(post(call("test_echo", 2)) + upgrade())
        assert client.answer().json["result"] == 2
        answer = client.answer(has_body=False)
        assert (answer.status, answer.headers["upgrade"]) == (101, "websocket")


def test_handshake__while_a_request_runs__is_refused_after_its_answer(server: RunningServer) -> None:
    with running_server() as own, RawClient(own.address) as client:
        client.send(post(call("test_gate")) + upgrade())
        assert own.gate.entered.acquire(timeout=PROMPT_S)
        own.gate.opened.set()
        assert client.answer().json["result"] == "through"
        assert client.answer().status == 400


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Version": None}, 426),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Key": "!" * 24}, 400),
        ({"Host": "attacker.example"}, 403),
        ({"Connection": "keep-alive"}, 200),  # no upgrade at all: the front page
    ],
)
def test_handshake__malformed__is_refused(address: Address, changes: dict[str, str | None], status: int) -> None:
    assert ask(address, upgrade(**changes)).status == status


def test_handshake__from_a_page__is_checked_by_origin(address: Address) -> None:
    with websocket(address, origin="https://any.example") as client:
        assert result(client, "test_echo", 1) == 1
    with running_server(RpcConfig(port=0, origins=("https://app.example",))) as server:
        with websocket(server.address, origin="https://app.example") as client:
            assert result(client, "test_echo", 1) == 1
        with websocket(server.address) as client:
            assert result(client, "test_echo", 1) == 1
        with pytest.raises(InvalidStatus) as caught, websocket(server.address, origin="https://evil.example"):
            pass
        assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x01x", 1002),
        (masked(Opcode.TEXT, b"\xff"), 1007),
        (b"\x82\xff\x7f" + b"\xff" * 7, 1009),
        (masked(Opcode.CONT, b""), 1002),
    ],
)
def test_frame__against_the_rules__closes_with_its_code(address: Address, frame: bytes, code: int) -> None:
    with RawClient(address) as client:
        client.send(upgrade())
        assert client.answer(has_body=False).status == 101
        client.send(frame)
        client.send(masked(Opcode.CLOSE, b""))
        rest = client.rest()
        assert rest[0] == 0x88
        assert int.from_bytes(rest[2:4], "big") == code


def test_message__over_the_limit__closes_with_1009() -> None:
    limits = RpcLimits(body_size_bytes_max=1_000)
    with running_server(RpcConfig(port=0, limits=limits)) as server, websocket(server.address) as client:
        client.send("x" * 1_001)
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(PROMPT_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


def test_bytes_in_flight__over_the_limit__close_with_1013() -> None:
    limits = RpcLimits(bytes_in_flight_max=1_000)
    with running_server(RpcConfig(port=0, limits=limits)) as server, websocket(server.address) as client:
        client.send("x" * 1_001)
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(PROMPT_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1013
        eventually(lambda: server.server.counters.bytes_in_flight == 0)


def test_silent_client__is_pinged__and_kept_while_it_answers() -> None:
    limits = RpcLimits(ping_interval_ms=40)
    with (
        running_server(RpcConfig(port=0, limits=limits)) as server,
        websocket(server.address) as client,
        RawClient(server.address) as dead,
    ):
        dead.send(upgrade())
        assert dead.answer(has_body=False).status == 101
        rest = dead.rest()  # reads, but never answers
        assert rest.startswith(b"\x89\x00")
        assert rest.endswith(b"no answer to ping")
        assert result(client, "test_echo", "alive") == "alive"


def test_message__that_stops_half_way__closes_the_connection() -> None:
    limits = RpcLimits(body_timeout_ms=40)
    with running_server(RpcConfig(port=0, limits=limits)) as server, RawClient(server.address) as client:
        client.send(upgrade() + masked(Opcode.TEXT, b"[", final=False))
        assert client.answer(has_body=False).status == 101
        assert b"message took too long" in client.rest()


def test_client__that_does_not_read_its_answers__is_held_back_and_disconnected() -> None:
    limits = RpcLimits(write_timeout_ms=40, requests_per_connection_max=4)
    with running_server(RpcConfig(port=0, limits=limits)) as server, RawClient(server.address) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.send(upgrade() + masked(Opcode.TEXT, call("test_large", hex(16_000_000))) * 4)
        eventually(lambda: server.server.counters.connections_open == 0)
        assert server.server.counters.bytes_in_flight == 0


def test_requests__over_the_count__wait_and_are_all_answered() -> None:
    limits = RpcLimits(requests_per_connection_max=2, pool_thread_count=1)
    with running_server(RpcConfig(port=0, limits=limits)) as server, websocket(server.address) as client:
        for index in range(200):
            client.send(call("test_gate" if index < 2 else "test_echo", request_id=index))
        assert server.gate.entered.acquire(timeout=PROMPT_S)
        assert server.server.counters.of_method("test_echo").request_count == 0
        server.gate.opened.set()
        ids = [json.loads(client.recv(PROMPT_S))["id"] for _ in range(200)]
        assert ids[0] == 0
        assert sorted(ids) == list(range(200))
