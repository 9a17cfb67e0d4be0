"""The client of an upstream node against servers of every temper, without a network and without waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from metis.node.fork.client import AnswerError, Call, UpstreamClient, UpstreamOptions
from metis.node.fork.endpoint import read_endpoint
from metis.types import UpstreamError

Server = Callable[[list[dict[str, Any]], int], httpx.Response]
URL = "https://rpc.example.com/v2/0123456789secret"


def ask(server: Server, calls: list[Call], **options: Any) -> tuple[list[Any], int]:
    """Send calls as one batch; returns the results and how many requests that took."""
    count = 0

    async def handle(request: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        message = orjson.loads(request.content)
        return server(message if isinstance(message, list) else [message], count)

    async def run() -> list[Any]:
        settings = UpstreamOptions(retry_pause_ms=0, **{"retry_count": 3, **options})
        client = UpstreamClient(read_endpoint(URL), settings, httpx.MockTransport(handle))
        try:
            return await client.batch(calls)
        finally:
            await client.close()

    return asyncio.run(run()), count


def echo(message: list[dict[str, Any]], _count: int = 0) -> httpx.Response:
    """Answer every call with its first parameter, backwards."""
    answers = [{"jsonrpc": "2.0", "id": call["id"], "result": call["params"][0]} for call in message][::-1]
    return httpx.Response(200, content=orjson.dumps(answers if len(message) > 1 else answers[0]))


CALLS = [Call("m", (value,)) for value in range(5)]


def test_batch__of_many_calls__answers_each_in_order_with_one_request() -> None:
    assert ask(echo, CALLS) == ([0, 1, 2, 3, 4], 1)
    assert ask(echo, CALLS, batch_count_max=2) == ([0, 1, 2, 3, 4], 3)
    assert ask(echo, []) == ([], 0)


@pytest.mark.parametrize(
    "bad",
    [
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.Response(503, text="down"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"jsonrpc": "2.0", "id": None, "error": {"code": -32005, "message": "limit"}}),
        httpx.Response(200, json=[]),
        httpx.Response(200, json=[7, None, {"id": "x"}, {"id": 99, "result": 1}]),
    ],
)
def test_batch__when_a_server_fails_at_first__asks_again(bad: httpx.Response) -> None:
    assert ask(lambda message, count: bad if count < 3 else echo(message), CALLS) == ([0, 1, 2, 3, 4], 3)


def test_batch__with_a_part_rate_limited__asks_for_that_part_again() -> None:
    sizes = []

    def server(message: list[dict[str, Any]], count: int) -> httpx.Response:
        sizes.append(len(message))
        answers = [{"id": call["id"], "result": call["params"][0]} for call in message]
        if count == 1:
            answers[1:3] = [
                {"id": 1, "error": {"code": 429, "message": "compute units"}},
                {"id": 2, "error": {"code": -32000, "message": "Too Many Requests"}},
            ]
        return httpx.Response(200, json=answers)

    assert ask(server, CALLS) == ([0, 1, 2, 3, 4], 2)
    assert sizes == [5, 2]


@pytest.mark.parametrize("status", [200, 400, 405, 413])
def test_batch__of_a_server_that_takes_none__goes_one_by_one(status: int) -> None:
    def server(message: list[dict[str, Any]], _count: int) -> httpx.Response:
        if len(message) > 1:
            error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batches are disabled"}}
            return httpx.Response(status, json=error)
        return echo(message)

    assert ask(server, CALLS) == ([0, 1, 2, 3, 4], 6)


def test_batch__with_errors_as_answers__gives_them_in_their_place() -> None:
    def server(message: list[dict[str, Any]], _count: int) -> httpx.Response:
        error = {"code": 3, "message": "execution reverted", "data": "0x1234"}
        return httpx.Response(200, json=[{"id": 0, "result": None}, {"id": 1, "error": error}])

    (first, second), count = ask(server, CALLS[:2])
    assert (first, count) == (None, 1)
    assert isinstance(second, AnswerError)
    assert (second.code, second.message, second.data) == (3, "execution reverted", "0x1234")


def refuse(_message: list[dict[str, Any]], _count: int) -> httpx.Response:
    raise httpx.ConnectError(f"no way to {URL}")


def hang(_message: list[dict[str, Any]], _count: int) -> httpx.Response:
    raise httpx.ReadTimeout(f"nothing from {URL}")


@pytest.mark.parametrize(
    ("server", "kind", "request_count"),
    [
        (refuse, "unreachable", 4),
        (hang, "timeout", 4),
        (lambda *_: httpx.Response(429), "rate-limit", 4),
        (lambda *_: httpx.Response(500), "http", 4),
        (lambda *_: httpx.Response(200, text="nonsense"), "garbage", 4),
        (lambda *_: httpx.Response(401, text="who are you?"), "http", 1),
        (lambda *_: httpx.Response(200, content=b" " * (64 * 1024 * 1024 + 1)), "garbage", 1),
    ],
)
def test_batch__of_a_server_that_stays_bad__ends_with_a_typed_error(
    server: Server, kind: str, request_count: int
) -> None:
    count = 0

    def counted(message: list[dict[str, Any]], number: int) -> httpx.Response:
        nonlocal count
        count = number
        return server(message, number)

    with pytest.raises(UpstreamError) as failed:
        ask(counted, CALLS)
    assert failed.value.kind == kind
    assert count == request_count
    assert failed.value.endpoint == "https://rpc.example.com"
    assert "secret" not in str(failed.value)
