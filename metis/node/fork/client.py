"""
JSON-RPC to an upstream node: batches, a rate limit, retries with growing pauses, typed failures.

In: calls. Out: one result or one :class:`AnswerError` per call, in order. Invariant: whatever the other
side does, a batch ends, with :class:`metis.types.UpstreamError` where it could not be had; messages never
contain what stands in the URL's path. Cost: one HTTP request per ``batch_count_max`` calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from metis.node.fork.endpoint import Endpoint
from metis.types import UpstreamError

__all__ = ["AnswerError", "Call", "UpstreamClient", "UpstreamOptions"]

log = logging.getLogger("metis.node.fork")

BODY_SIZE_BYTES_MAX = 64 * 1024 * 1024
PAUSE_S_MAX = 8.0
CONCURRENT_REQUEST_COUNT_MAX = 4
RATE_LIMIT_CODES = frozenset({429, -32005, -32097})
RATE_LIMIT_WORDS = ("rate limit", "too many requests", "compute units", "exceeded its", "capacity exceeded")
# What a server answers that does not take batches, or not of this size.
BATCH_REFUSED_STATUSES = frozenset({400, 405, 413, 415, 422, 501})


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """How an upstream node is asked; the settings' names are those of ``[fork]``."""

    timeout_ms: int = 10_000
    retry_count: int = 5
    retry_pause_ms: int = 250
    batch_count_max: int = 100
    requests_per_second_max: float = 0.0
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A method with its parameters."""

    method: str
    params: tuple[Any, ...] = ()


class AnswerError(Exception):
    """The JSON-RPC error that a call was answered with: its code, message and data."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data


class _Retry(Exception):
    """A request that may succeed later."""

    def __init__(self, kind: str, detail: str, pause_s: float = 0.0) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.pause_s = pause_s


class _BatchRefused(Exception):
    """The server takes no batches."""


class UpstreamClient:
    """
    Asks one upstream node. Belongs to the event loop on which it was first used.

    Parameters
    ----------
    transport : instead of the network, for tests.
    """

    def __init__(
        self, endpoint: Endpoint, options: UpstreamOptions, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.endpoint = endpoint
        self._options = options
        headers = {"Content-Type": "application/json"}
        for line in options.headers:
            name, _, value = line.partition(":")
            headers[name.strip()] = value.strip()
        self._http = httpx.AsyncClient(
            headers=headers, timeout=options.timeout_ms / 1_000, transport=transport, follow_redirects=False
        )
        self._takes_batches = True
        self._slots = asyncio.Semaphore(CONCURRENT_REQUEST_COUNT_MAX)
        self._next_request_s = 0.0
        self.request_count = 0
        """HTTP requests sent since the start."""

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(self, method: str, *params: Any) -> Any:
        """Ask one thing; raises UpstreamError, and AnswerError where the node answers with an error."""
        (result,) = await self.batch([Call(method, params)])
        if isinstance(result, AnswerError):
            raise result
        return result

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """
        Ask many things.

        Returns
        -------
        Results in the order of the calls; an AnswerError where the node answered with an error.

        Raises
        ------
        UpstreamError : an answer could not be had, after all retries.
        """
        results: list[Any] = [None] * len(calls)
        pending = list(range(len(calls)))
        attempt = 0
        while pending:
            size = self._options.batch_count_max if self._takes_batches else 1
            chunks = [pending[start : start + size] for start in range(0, len(pending), size)]
            outcomes = await asyncio.gather(*(self._ask(calls, chunk, results) for chunk in chunks))
            pending = [index for left, _ in outcomes for index in left]
            if not pending:
                break
            reasons = [reason for _, reason in outcomes if reason is not None]
            if not reasons:
                continue  # batches were refused: the same again, one by one
            if attempt >= self._options.retry_count:
                raise UpstreamError(reasons[0].kind, self.endpoint.shown, reasons[0].detail)
            pause_s = self._options.retry_pause_ms / 1_000 * 2**attempt
            pause_s = min(max([pause_s, *(reason.pause_s for reason in reasons)]), PAUSE_S_MAX)
            log.debug("upstream asked again", extra={"reason": reasons[0].detail, "pause_s": pause_s})
            await asyncio.sleep(pause_s)
            attempt += 1
        return results

    async def _ask(
        self, calls: Sequence[Call], chunk: list[int], results: list[Any]
    ) -> tuple[list[int], _Retry | None]:
        """Send one request; returns the calls that have no answer yet, and why where a pause is due."""
        try:
            answers = await self._exchange([calls[index] for index in chunk])
        except _BatchRefused:
            self._takes_batches = False
            return chunk, None
        except _Retry as reason:
            return chunk, reason
        left: list[int] = []
        again: _Retry | None = None
        for position, index in enumerate(chunk):
            answer = answers.get(position)
            if answer is None:
                left.append(index)
                again = again or _Retry("garbage", f"no answer to {calls[index].method}")
            elif isinstance(answer, AnswerError) and _is_rate_limit(answer.code, answer.message):
                left.append(index)
                again = _Retry("rate-limit", f"rate limit: {answer}")
            elif isinstance(answer, AnswerError):
                results[index] = answer
            else:
                results[index] = answer[0]
        return left, again

    async def _exchange(self, calls: list[Call]) -> dict[int, tuple[Any] | AnswerError]:
        """Send calls as one request; returns the answers by position, results wrapped, for null is one."""
        bodies = [
            {"jsonrpc": "2.0", "id": position, "method": call.method, "params": list(call.params)}
            for position, call in enumerate(calls)
        ]
        is_batch = len(bodies) > 1
        async with self._slots:
            await self._await_turn()
            self.request_count += 1
            status, headers, body = await self._post(orjson.dumps(bodies if is_batch else bodies[0]))
        if status == 429:
            raise _Retry("rate-limit", "HTTP 429: too many requests", _retry_after_s(headers))
        if status >= 500:
            raise _Retry("http", f"HTTP {status}", _retry_after_s(headers))
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError:
            answer = None
        if is_batch and not isinstance(answer, list):
            error = answer.get("error") if isinstance(answer, dict) else None
            if isinstance(error, dict) and _is_rate_limit(error.get("code"), str(error.get("message"))):
                raise _Retry("rate-limit", f"rate limit: {error.get('message')}")
            if isinstance(error, dict) or status in BATCH_REFUSED_STATUSES:
                raise _BatchRefused
        if status >= 400 and not isinstance(answer, dict | list):
            raise UpstreamError("http", self.endpoint.shown, f"HTTP {status}: is the URL, with its key, right?")
        entries = answer if isinstance(answer, list) else [answer]
        answers = dict(found for entry in entries if (found := _read(entry, len(calls))) is not None)
        if not answers:
            raise _Retry("garbage", f"HTTP {status} with something else than a JSON-RPC answer")
        return answers

    async def _post(self, body: bytes) -> tuple[int, httpx.Headers, bytes]:
        try:
            async with self._http.stream("POST", self.endpoint.url, content=body) as response:
                parts: list[bytes] = []
                size_bytes = 0
                async for part in response.aiter_bytes():
                    size_bytes += len(part)
                    if size_bytes > BODY_SIZE_BYTES_MAX:
                        detail = f"an answer of more than {BODY_SIZE_BYTES_MAX} bytes"
                        raise UpstreamError("garbage", self.endpoint.shown, detail)
                    parts.append(part)
                return response.status_code, response.headers, b"".join(parts)
        except httpx.TimeoutException:
            raise _Retry("timeout", f"no answer within {self._options.timeout_ms} ms") from None
        except (httpx.RequestError, httpx.InvalidURL, OSError) as problem:
            # The message of httpx may contain the URL: only its class is told.
            raise _Retry("unreachable", f"cannot be reached ({type(problem).__name__})") from None

    async def _await_turn(self) -> None:
        """Wait until the rate limit allows one more request."""
        rate = self._options.requests_per_second_max
        if rate <= 0:
            return
        now_s = asyncio.get_running_loop().time()
        begin_s = max(now_s, self._next_request_s)
        self._next_request_s = begin_s + 1 / rate
        if begin_s > now_s:
            await asyncio.sleep(begin_s - now_s)


def _read(entry: Any, call_count: int) -> tuple[int, tuple[Any] | AnswerError] | None:
    """One answer of a batch with its position; None for anything else."""
    if not isinstance(entry, dict):
        return None
    position = entry.get("id")
    if position is None and call_count == 1:
        position = 0  # an error before the id was read
    if type(position) is not int or not 0 <= position < call_count:
        return None
    error = entry.get("error")
    if isinstance(error, dict):
        code = error.get("code")
        return position, AnswerError(
            code if type(code) is int else -32000, str(error.get("message", ""))[:1_000], error.get("data")
        )
    return (position, (entry["result"],)) if "result" in entry else None


def _is_rate_limit(code: Any, message: str) -> bool:
    return code in RATE_LIMIT_CODES or any(words in message.lower() for words in RATE_LIMIT_WORDS)


def _retry_after_s(headers: httpx.Headers) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0  # a date: the growing pauses do as well
