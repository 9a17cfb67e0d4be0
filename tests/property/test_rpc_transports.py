"""A running server under arbitrary clients: every message gets its answer on every transport, and nothing kills it."""

from __future__ import annotations

import itertools
import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from metis.rpc import RpcConfig
from tests.property.rpc_messages import check_message, good_requests, is_answered, messages
from tests.unit.rpc.raw_client import RawClient, call, post
from tests.unit.rpc.running_server import PROMPT_S, RunningServer, running_server
from tests.unit.rpc.test_websocket import upgrade

MARK = "the end of the test's own messages"


@pytest.fixture(scope="module")
def ipc_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ipc") / "node.ipc"


@pytest.fixture(scope="module")
def server(ipc_path: Path) -> Iterator[RunningServer]:
    with running_server(RpcConfig(port=0, ipc_path=ipc_path)) as running:
        yield running


@pytest.fixture(scope="module")
def websocket(server: RunningServer) -> Iterator[ClientConnection]:
    host, port = server.address
    with connect(f"ws://{host}:{port}", ping_interval=None, proxy=None) as client:
        yield client


def is_alive(server: RunningServer) -> bool:
    with RawClient(server.address) as client:
        client.send(post(call("test_echo", MARK)))
        return bool(client.answer().json["result"] == MARK)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    positions = [0, *sorted(position % (len(data) + 1) for position in cuts), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(positions) if begin < end]


@given(message=messages)
def test_any_json__posted__gets_the_answer_of_the_model(server: RunningServer, message: Any) -> None:
    with RawClient(server.address) as client:
        client.send(post(json.dumps(message).encode()))
        answer = client.answer()
        assert answer.status == (200 if answer.body else 204)
        check_message(message, answer.body)


@given(body=st.binary(max_size=300))
def test_any_bytes__posted__get_a_json_rpc_answer(server: RunningServer, body: bytes) -> None:
    with RawClient(server.address) as client:
        client.send(post(body))
        answer = client.answer()
        if answer.status != 204:
            decoded = answer.json
            for one in decoded if isinstance(decoded, list) else [decoded]:
                assert one["jsonrpc"] == "2.0"
                assert ("error" in one) != ("result" in one)


@given(pieces=st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes__instead_of_http__get_an_http_answer_or_an_end(server: RunningServer, pieces: list[bytes]) -> None:
    with RawClient(server.address) as client:
        with suppress(OSError):  # the server may have heard enough
            for piece in pieces:
                client.send(piece)
            client.end()
        rest = client.rest()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 4")
    assert is_alive(server)


@given(bodies=st.lists(good_requests(), min_size=1, max_size=4), cuts=st.lists(st.integers(0, 5_000), max_size=6))
def test_requests__cut_anywhere__get_the_same_answers_in_order(
    server: RunningServer, bodies: list[Any], cuts: list[int]
) -> None:
    stream = b"".join(post(json.dumps(body).encode()) for body in bodies)
    with RawClient(server.address) as client:
        for piece in cut(stream, cuts):
            client.send(piece)
        for body in bodies:
            check_message(body, client.answer().body)


@given(message=messages)
def test_any_json__over_websocket__gets_the_answer_of_the_model(websocket: ClientConnection, message: Any) -> None:
    websocket.send(json.dumps(message))
    elements = message if isinstance(message, list) and message else [message]
    body = b""
    if any(is_answered(element) for element in elements):
        body = websocket.recv(PROMPT_S, decode=False)
    websocket.send(call("test_echo", MARK))
    assert json.loads(websocket.recv(PROMPT_S))["result"] == MARK
    check_message(message, body)


@given(data=st.binary(max_size=100), pieces=st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes__after_the_upgrade__never_kill_the_server(
    server: RunningServer, data: bytes, pieces: list[bytes]
) -> None:
    with RawClient(server.address) as client:
        frames = [Frame(Opcode.TEXT, piece).serialize(mask=True) for piece in pieces]
        with suppress(OSError):
            client.send(upgrade() + b"".join(frames) + data)
            client.end()
        assert client.rest().startswith(b"HTTP/1.1 101 ")
    assert is_alive(server)


@given(bodies=st.lists(good_requests(), max_size=4), cuts=st.lists(st.integers(0, 5_000), max_size=6))
def test_requests__over_ipc_cut_anywhere__are_all_answered(
    server: RunningServer, ipc_path: Path, bodies: list[dict[str, Any]], cuts: list[int]
) -> None:
    bodies = [{**body, "id": index} for index, body in enumerate(bodies)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PROMPT_S)
        client.connect(os.fspath(ipc_path))
        for piece in cut(b"".join(json.dumps(body).encode() for body in bodies), cuts):
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as lines:
            answers = {json.loads(line)["id"]: line for line in lines}
    assert len(answers) == len(bodies)
    for body in bodies:
        check_message(body, answers[body["id"]])


@given(pieces=st.lists(st.binary(max_size=100), max_size=4))
def test_any_bytes__over_ipc__get_json_rpc_answers_or_an_end(
    server: RunningServer, ipc_path: Path, pieces: list[bytes]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PROMPT_S)
        client.connect(os.fspath(ipc_path))
        with suppress(OSError):
            for piece in pieces:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as lines:
            for line in lines:
                decoded = json.loads(line)
                for answer in decoded if isinstance(decoded, list) else [decoded]:
                    assert answer["jsonrpc"] == "2.0"
    assert is_alive(server)
