"""The server's life: start, refuse to start, stop gracefully; what it counts; its second listener."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from pathlib import Path

import pytest

from metis.rpc import (
    AuthenticatedConfig,
    ListenError,
    MethodRegistry,
    OnPool,
    PageContent,
    RpcConfig,
    RpcLimits,
    RpcServer,
    make_token,
)
from metis.rpc.counters import LATENCY_BOUNDS_US
from tests.unit.rpc.raw_client import RawClient, ask, call, post, result_of
from tests.unit.rpc.running_server import PROMPT_S, RunningServer, eventually, running_server
from tests.unit.rpc.test_websocket import websocket

SECRET = bytes(range(32))
ARGUMENT = "invalid argument"


# Methods of every kind.


@pytest.mark.parametrize(
    ("method", "params", "result"),
    [
        ("rpc_modules", [], {"eth": "1.0", "rpc": "1.0", "test": "1.0"}),
        ("test_echo", [{"any": [1, None, "ü"]}], {"any": [1, None, "ü"]}),
        ("test_encoded", [], {"already": "encoded"}),
        ("test_pool", [1], [True, 1]),
        ("test_async", ["later"], "later"),
        ("test_typed", ["0x" + "11" * 20], ["11" * 20, "latest"]),
    ],
)
def test_method__of_any_kind__answers(
    address: tuple[str, int], method: str, params: list[object], result: object
) -> None:
    assert result_of(address, call(method, *params)) == {"jsonrpc": "2.0", "id": 1, "result": result}


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("test_missing", [], {"code": -32601, "message": "the method test_missing does not exist/is not available"}),
        ("x" * 5_000, [], {"code": -32601, "message": f"the method {'x' * 64}… does not exist/is not available"}),
        ("test_typed", [1], {"code": -32602, "message": f"{ARGUMENT} 0 (address): expected a hex string, got number"}),
        ("test_pool", [1, 2], {"code": -32602, "message": f"{ARGUMENT} 1: too many arguments, want at most 1"}),
        ("test_async", [1, 2], {"code": -32602, "message": f"{ARGUMENT} 1: too many arguments, want at most 1"}),
        ("test_fail", ["revert"], {"code": 3, "message": "execution reverted", "data": "0x12345678"}),
        ("test_fail", ["nonce"], {"code": -32003, "message": "nonce too low: nonce 1 is below 2"}),
        ("test_fail", ["own"], {"code": -38010, "message": "own code", "data": {"some": "data"}}),
        ("test_poolFail", [], {"code": -32004, "message": "not on this pool"}),
    ],
)  # fmt: skip
def test_method__that_fails__answers_its_error(
    address: tuple[str, int], method: str, params: list[object], error: object
) -> None:
    assert result_of(address, call(method, *params))["error"] == error


def test_bug__in_a_method__is_logged_and_its_details_stay_here(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="metis.rpc"):
        assert result_of(address, call("test_fail", "bug"))["error"] == {
            "code": -32603,
            "message": "internal error: ZeroDivisionError",
        }
        assert result_of(address, call("test_fail", "fault"))["error"]["code"] == -32603
        assert result_of(address, call("test_unencodable"))["error"]["code"] == -32603
    assert "internal detail" in caplog.text
    assert "invariant broken" in caplog.text


def test_batch__of_every_kind__is_answered_in_order(address: tuple[str, int]) -> None:
    methods = [
        "test_echo",
        "test_pool",
        "test_pool",
        "test_missing",
        "test_async",
        "test_fail",
        "test_pool",
        "test_echo",
    ]
    batch = [json.loads(call(method, request_id=str(index))) for index, method in enumerate(methods)]
    batch.insert(3, {"jsonrpc": "2.0", "method": "test_pool"})
    batch.insert(5, {"jsonrpc": "2.0", "id": "bad"})
    answers = result_of(address, json.dumps(batch).encode())
    assert [answer["id"] for answer in answers] == ["0", "1", "2", "3", "bad", "4", "5", "6", "7"]
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [None, None, None, -32601, -32600, None, -32602, None, None]


def test_batch__of_many_quick_calls__is_answered_in_order(address: tuple[str, int]) -> None:
    batch = [json.loads(call("test_echo", [index] * 100, request_id=index)) for index in range(1_000)]
    answers = result_of(address, json.dumps(batch).encode())
    assert [answer["id"] for answer in answers] == list(range(1_000))


def test_hot_method__that_finds_itself_slow__goes_on_on_the_pool() -> None:
    with running_server() as server:

        @server.registry.hot("test_adaptive")
        def adaptive() -> object:
            assert threading.current_thread().name == "server under test"
            return OnPool(lambda: threading.current_thread().name)

        assert result_of(server.address, call("test_adaptive"))["result"].startswith("metis-rpc")
        batch = b"[" + call("test_adaptive") + b"," + call("test_echo", 2) + b"]"
        assert [answer["id"] for answer in result_of(server.address, batch)] == [1, 1]
        assert server.server.counters.of_method("test_adaptive").request_count == 2


# Start and stop.


def test_port__in_use__is_a_listen_error_that_says_what_to_do() -> None:
    with running_server() as server:
        other = RunningServer(RpcConfig(port=server.address[1]))
        with pytest.raises(ListenError, match="Address already in use; stop what uses it, or choose another port"):
            other.start()
        other.close()


def test_start__that_fails_half_way__leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "node.ipc"
    path.write_text("not a socket")
    threads = set(threading.enumerate())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = RunningServer(RpcConfig(port=port, ipc_path=path))
    with pytest.raises(ListenError):
        server.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    server.close()
    eventually(lambda: set(threading.enumerate()) <= threads)


def test_server__on_asyncios_own_loop__works_too() -> None:
    async def serve() -> bytes:
        server = RpcServer(MethodRegistry(), RpcConfig(port=0))
        await server.start()
        assert server.http_address is not None
        reader, writer = await asyncio.open_connection(*server.http_address)
        writer.write(post(call("eth_chainId")))
        answer = await reader.readuntil(b"}}")
        writer.close()
        await writer.wait_closed()
        await server.stop()
        await server.stop()
        return answer

    assert b"-32601" in asyncio.run(serve())


def test_stop__while_requests_run__finishes_them_and_takes_no_more() -> None:
    with (
        running_server() as server,
        RawClient(server.address) as busy,
        RawClient(server.address) as idle,
        websocket(server.address) as listening,
        websocket(server.address) as working,
    ):
        idle.send(post(call("test_echo")))
        idle.answer()
        busy.send(post(call("test_gate")))
        working.send(call("test_gate"))
        for _ in range(2):
            assert server.gate.entered.acquire(timeout=PROMPT_S)
        address = server.address
        wait_until_stopped = server.begin_stop()
        assert idle.is_ended()
        assert list(listening) == []
        assert listening.close_code == 1001
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        server.gate.opened.set()
        answer = busy.answer()
        assert (answer.json["result"], answer.headers["connection"]) == ("through", "close")
        assert [json.loads(message)["result"] for message in working] == ["through"]
        assert working.close_code == 1001
        wait_until_stopped()
        assert server.server.counters.connections_open == 0


def test_stop__while_a_request_hangs__cuts_it_off_in_time() -> None:
    limits = RpcLimits(shutdown_timeout_ms=50)
    with running_server(RpcConfig(port=0, limits=limits)) as server, RawClient(server.address) as client:
        client.send(post(call("test_never")))
        eventually(lambda: server.server.counters.bytes_in_flight > 0)
        server.begin_stop()()
        assert client.rest() == b""
        assert server.server.counters.connections_open == 0


def test_listening__beyond_loopback__is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="metis.rpc"):
        with running_server():
            assert not caplog.records
        with running_server(RpcConfig(host="0.0.0.0", port=0)) as server:  # noqa: S104 - that is the test
            assert result_of(("127.0.0.1", server.address[1]), call("test_echo", 1))["result"] == 1
    assert "without a password" in caplog.text


# What it counts, and pages.


def test_counters__after_requests__say_what_happened() -> None:
    with running_server() as server:
        result_of(server.address, call("test_echo"))
        result_of(server.address, call("test_fail", "own"))
        result_of(server.address, call("test_pool"))
        result_of(server.address, call("no_method"))
        result_of(server.address, b"{}")
        ask(server.address, post(b"", target="/nowhere"))
        with websocket(server.address):
            pass
        eventually(lambda: server.server.counters.connections_open == 0)
        counted = server.run(server.server.counters.snapshot)
        json.dumps(counted)
        assert counted["connection_counts"] == {"http": 7, "websocket": 1, "ipc": 0}
        assert counted["http_status_counts"] == {"404": 1}
        assert (counted["request_count"], counted["error_count"]) == (3, 1)
        assert (counted["unknown_method_count"], counted["invalid_message_count"]) == (1, 1)
        assert counted["bytes_received"] == len(
            call("test_echo") + call("test_fail", "own") + call("test_pool") + call("no_method") + b"{}"
        )
        assert counted["bytes_in_flight"] == 0
        assert sorted(counted["methods"]) == ["test_echo", "test_fail", "test_pool"]
        echo = counted["methods"]["test_echo"]
        assert (echo["request_count"], echo["error_count"], sum(echo["latency_counts"])) == (1, 0, 1)
        assert len(echo["latency_counts"]) == len(LATENCY_BOUNDS_US) + 1


def test_page__that_is_configured__is_served_and_a_broken_one_is_500(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> PageContent:
        raise ZeroDivisionError

    pages = {"/metrics": lambda: PageContent("text/plain", b"requests 1\n"), "/broken": broken}
    with running_server(RpcConfig(port=0, pages=pages)) as server:
        answer = ask(server.address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"requests 1\n", "text/plain")
        with caplog.at_level(logging.ERROR, logger="metis.rpc"):
            assert ask(server.address, b"GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 500
        assert "ZeroDivisionError" in caplog.text


# The Engine API's listener.


def engine_registry() -> MethodRegistry:
    registry = MethodRegistry()

    @registry.hot("engine_exchangeCapabilities")
    def capabilities() -> list[str]:
        return []

    return registry


def test_authenticated_listener__with_a_token__answers_its_own_methods() -> None:
    config = RpcConfig(port=0, authenticated=AuthenticatedConfig(engine_registry(), SECRET, port=0))
    with running_server(config) as server:
        address = server.server.authenticated_address
        assert address is not None
        bearer = f"Authorization: Bearer {make_token(SECRET)}"
        request = call("engine_exchangeCapabilities")
        with RawClient(address) as client:
            for _ in range(3):
                client.send(post(request, bearer))
                assert client.answer().json["result"] == []
            client.send(post(request))
            refused = client.answer()
            assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert ask(address, post(request, f"Authorization: Bearer {make_token(bytes(32))}")).status == 401
        assert ask(address, post(request, f"Authorization: Bearer {make_token(SECRET, 0)}")).status == 401
        assert ask(address, post(request, bearer, "Origin: https://example.org")).status == 403
        assert ask(address, post(request, bearer, host="attacker.example")).status == 403
        assert ask(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 401
        assert result_of(server.address, request)["error"]["code"] == -32601
        assert SECRET.hex() not in repr(config)
        assert repr(SECRET) not in repr(config)


def test_authenticated_listener__over_websocket__needs_a_token_too() -> None:
    config = RpcConfig(port=0, authenticated=AuthenticatedConfig(engine_registry(), SECRET, port=0))
    with running_server(config) as server:
        address = server.server.authenticated_address
        assert address is not None
        headers = {"Authorization": f"Bearer {make_token(SECRET)}"}
        with websocket(address, additional_headers=headers) as client:
            client.send(call("engine_exchangeCapabilities"))
            assert json.loads(client.recv(PROMPT_S))["result"] == []
        from websockets.exceptions import InvalidStatus

        with pytest.raises(InvalidStatus), websocket(address):
            pass
