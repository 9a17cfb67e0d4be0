"""Every limit, hit: what the client is told, and that the server goes on."""

from __future__ import annotations

import dataclasses
import json
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from websockets.frames import Opcode

from metis.rpc import RpcConfig, RpcLimits
from tests.unit.rpc.raw_client import RawClient, ask, call, post, result_of
from tests.unit.rpc.running_server import RunningServer, eventually, running_server
from tests.unit.rpc.test_websocket import masked, upgrade


@contextmanager
def limited(**limits: int) -> Iterator[RunningServer]:
    with running_server(RpcConfig(port=0, limits=RpcLimits(**limits))) as server:
        yield server
        # Whatever happened, the server still answers, and holds nothing of those who are gone.
        eventually(lambda: server.server.counters.connections_open == 0)
        assert server.server.counters.bytes_in_flight == 0


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(RpcLimits)])
@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_limit__that_is_no_positive_number__is_refused_by_name(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        RpcLimits(**{name: value})


def test_body__over_the_limit__is_413_before_it_is_sent() -> None:
    with limited(body_size_bytes_max=100) as server:
        with RawClient(server.address) as client:
            client.send(post(b"x" * 101)[:-101])
            answer = client.answer()
            assert (answer.status, answer.body) == (413, b"content length too large (101>100)\n")
            assert client.is_ended()
        assert ask(server.address, post(b" " * 100)).status == 200


def test_body__chunked_over_the_limit__is_413_and_can_be_read_while_sending() -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with limited(body_size_bytes_max=1_000) as server, RawClient(server.address) as client:
        client.send(head)
        for _ in range(100):
            client.send(b"400\r\n" + b"x" * 1_024 + b"\r\n")
        assert client.answer().status == 413


def test_trailers__without_end__are_cut_off() -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with limited(body_size_bytes_max=1_000) as server, RawClient(server.address) as client:
        client.send(head + b"0\r\nTrailer: ")
        for _ in range(20):
            client.send(b"x" * 65_536)
        assert client.answer().status == 413


@pytest.mark.parametrize(
    "lines",
    [
        b"Long: " + b"x" * 2_000,
        b"\r\n".join(b"Header-%d: x" % index for index in range(200)),
        b"N" * 2_000 + b": x",
    ],
)
def test_head__over_the_limit__is_431_whole_or_endless(lines: bytes) -> None:
    with limited(header_size_bytes_max=1_000) as server:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n\r\n"
        assert ask(server.address, request).status == 431
        with RawClient(server.address) as client:
            for position in range(0, len(request) - 4, 100):
                client.send(request[position : position + 100])
                if position > 1_500:
                    break
            assert client.answer().status == 431
        assert ask(server.address, b"GET /" + b"x" * 2_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 431


def test_large_pipelined_requests__whose_heads_are_small__are_not_mistaken_for_a_large_head() -> None:
    with limited(header_size_bytes_max=500) as server, RawClient(server.address) as client:
        requests = post(call("test_sizeOf", "0x" + "00" * 100_000)) * 5
        for position in range(0, len(requests), 65_000):
            client.send(requests[position : position + 65_000])
        assert [client.answer().json["result"] for _ in range(5)] == [100_000] * 5


def test_batch__over_the_limit__is_refused_as_one() -> None:
    with limited(batch_count_max=3) as server:
        batch = [json.loads(call("test_echo", request_id=index)) for index in range(4)]
        (answer,) = result_of(server.address, json.dumps(batch).encode())
        assert (answer["id"], answer["error"]["code"]) == (0, -32005)
        assert len(result_of(server.address, json.dumps(batch[:3]).encode())) == 3


def test_response__over_the_limit__is_an_error_alone_and_in_a_batch() -> None:
    with limited(response_size_bytes_max=1_000) as server:
        alone = result_of(server.address, call("test_large", "0x400"))
        assert alone["error"]["code"] == -32005
        batch = [json.loads(call("test_large", "0x190", request_id=index)) for index in range(5)]
        answers = result_of(server.address, json.dumps(batch).encode())
        assert [answer["id"] for answer in answers] == [0, 1, 2, 3, 4]
        assert ["result" in answer for answer in answers] == [True, True, True, False, False]
        pool = [json.loads(call("test_pool", "x" * 400, request_id=index)) for index in range(5)]
        answers = result_of(server.address, json.dumps(pool).encode())
        assert ["result" in answer for answer in answers] == [True, True, True, False, False]


def test_connections__over_the_limit__are_refused_with_503() -> None:
    with limited(connections_max=2) as server:
        with ExitStack() as stack:
            clients = [stack.enter_context(RawClient(server.address)) for _ in range(2)]
            for client in clients:
                client.send(post(call("test_echo")))
                assert client.answer().status == 200
            refused = stack.enter_context(RawClient(server.address))
            assert refused.answer().status == 503
        eventually(lambda: server.server.counters.connections_open == 0)
        assert ask(server.address, post(call("test_echo"))).status == 200
        assert server.server.counters.connections_refused == 1


def test_bytes_in_flight__over_the_limit__refuse_the_one_too_many() -> None:
    with limited(bytes_in_flight_max=10_000) as server, ExitStack() as stack:
        holder, other = (stack.enter_context(RawClient(server.address)) for _ in range(2))
        holder.send(post(b"x" * 9_000)[:-1])
        eventually(lambda: server.server.counters.bytes_in_flight == 8_999)
        other.send(post(b"x" * 2_000))
        assert other.answer().status == 503
        holder.send(b"x")
        assert holder.answer().status == 200


def test_bytes_in_flight__of_an_unfinished_websocket_message__count_too() -> None:
    with limited(bytes_in_flight_max=10_000) as server, ExitStack() as stack:
        holder, other = (stack.enter_context(RawClient(server.address)) for _ in range(2))
        fragments = masked(Opcode.TEXT, b"x" * 4_700, final=False) + masked(Opcode.CONT, b"x" * 4_700)
        holder.send(upgrade() + fragments[:-1])
        eventually(lambda: server.server.counters.bytes_in_flight > 9_000)
        other.send(post(b"x" * 2_000))
        assert other.answer().status == 503
        assert holder.answer(has_body=False).status == 101
        holder.send(fragments[-1:] + masked(Opcode.CLOSE, b""))
        assert b"parse error" in holder.rest()
        assert server.server.counters.bytes_in_flight == 0


def test_requests__waiting_on_one_connection__stop_the_reading_until_they_are_answered() -> None:
    with limited(requests_per_connection_max=2) as server, RawClient(server.address) as client:
        client.send(post(call("test_gate")))
        assert server.gate.entered.acquire(timeout=20)
        requests = b"".join(post(call("test_echo", "x" * 1_000, request_id=index)) for index in range(30_000))
        sent = 0
        while select.select([], [client.socket], [], 0.2)[1]:
            sent += client.socket.send(requests[sent : sent + 65_536], socket.MSG_DONTWAIT)
        # More than a kernel keeps for a connection; of it, the server took only what one read holds.
        assert 0 < sent < len(requests)
        assert server.server.counters.bytes_in_flight < 1_000_000
        server.gate.opened.set()
        assert client.answer().json["result"] == "through"
        client.socket.close()


def test_pool__with_a_full_queue__refuses_at_once() -> None:
    with limited(pool_thread_count=1, pool_queue_count_max=1) as server, RawClient(server.address) as client:
        client.send(post(call("test_gate")))
        assert server.gate.entered.acquire(timeout=20)
        assert result_of(server.address, call("test_pool"))["error"]["code"] == -32005
        health = ask(server.address, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (health.status, health.json["status"]) == (503, "overloaded")
        server.gate.opened.set()
        assert client.answer().json["result"] == "through"
        assert result_of(server.address, call("test_pool"))["result"] == [True, None]


@pytest.mark.parametrize("method", ["test_gate", "test_never"])
def test_request__over_its_time__gets_an_error_alone_and_in_a_batch(method: str) -> None:
    with limited(request_timeout_ms=30) as server:
        alone = result_of(server.address, call(method, request_id="a"))
        assert (alone["id"], alone["error"]) == ("a", {"code": -32002, "message": "request timed out"})
        batch = [json.loads(call(name, request_id=name)) for name in ("test_echo", method, "test_pool", "no_method")]
        answers = result_of(server.address, json.dumps(batch).encode())
        assert [answer["id"] for answer in answers] == ["test_echo", method, "test_pool", "no_method"]
        assert [answer.get("error", {}).get("code") for answer in answers] == [None, -32002, -32002, -32002]
        assert server.server.counters.timeout_count == 2
        server.gate.opened.set()
        eventually(lambda: result_of(server.address, call("test_pool")).get("result") == [True, None])


def test_head__that_comes_too_slowly__gets_408() -> None:
    with limited(header_timeout_ms=30) as server, RawClient(server.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: loc")
        assert client.answer().status == 408
        assert client.is_ended()


def test_body__that_comes_too_slowly__gets_408() -> None:
    with limited(body_timeout_ms=30) as server, RawClient(server.address) as client:
        client.send(post(call("test_echo"))[:-1])
        assert client.answer().status == 408
        assert client.is_ended()


@pytest.mark.parametrize("first", [b"", post(call("test_echo"))])
def test_connection__without_a_request__is_closed_silently(first: bytes) -> None:
    with limited(idle_timeout_ms=30) as server, RawClient(server.address) as client:
        if first:
            client.send(first)
            assert client.answer().status == 200
        assert client.is_ended()


def test_connection__that_is_used__is_not_idle() -> None:
    with running_server(RpcConfig(port=0, limits=RpcLimits(idle_timeout_ms=100_000))) as server:
        shared = server.server._shared
        assert shared is not None
        now_s = server.run(shared.loop.time)

        def sweep_at(moment_s: float) -> None:
            for connection in list(shared.connections):
                connection.sweep(moment_s)

        with RawClient(server.address) as client:
            for age_s in (0.0, 90.0, 180.0, 270.0):
                client.send(post(call("test_echo")))
                assert client.answer().status == 200
                server.run(partial(sweep_at, now_s + age_s))
            server.run(partial(sweep_at, now_s + 360.0))
            client.send(post(call("test_echo")))
            assert client.answer().status == 200
            server.run(partial(sweep_at, now_s + 360.0))
            server.run(partial(sweep_at, now_s + 461.0))
            assert client.is_ended()


def test_request__that_runs_long__does_not_make_its_connection_idle() -> None:
    limits = {"idle_timeout_ms": 20, "header_timeout_ms": 20, "body_timeout_ms": 20}
    with limited(**limits) as server, RawClient(server.address) as client:
        client.send(post(call("test_gate")))
        assert server.gate.entered.acquire(timeout=20)
        sweeps: list[float] = []
        shared = server.server._shared
        assert shared is not None
        for _ in range(5):
            server.run(lambda: sweeps.append(shared.loop.time()))
            server.run(lambda: shared.sweep())
        server.gate.opened.set()
        assert client.answer().json["result"] == "through"


def test_client__that_does_not_read__is_disconnected() -> None:
    with limited(write_timeout_ms=30) as server, RawClient(server.address) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.send(post(call("test_large", hex(16_000_000))))
        eventually(lambda: server.server.counters.connections_open == 0)


def test_client__that_reads_late__gets_everything_in_order() -> None:
    with limited() as server, RawClient(server.address) as client:
        client.send(b"".join(post(call("test_large", hex(1_000_000), request_id=index)) for index in range(20)))
        assert [client.answer().json["id"] for _ in range(20)] == list(range(20))


def test_client__that_resets__leaves_nothing_behind() -> None:
    with limited() as server:
        for request in (b"POST", post(b"x" * 1_000)[:-1], post(call("test_gate")), post(call("test_never"))):
            client = RawClient(server.address)
            client.send(request)
            if b"test_gate" in request:
                assert server.gate.entered.acquire(timeout=20)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()
        eventually(lambda: server.server.counters.connections_open == 0)
        server.gate.opened.set()
        assert result_of(server.address, call("test_echo", 1))["result"] == 1
