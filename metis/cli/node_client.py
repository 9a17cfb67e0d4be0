"""A node asked over JSON-RPC by a command, one request after the other or many in one."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, Self

import httpx
import orjson

from metis.types import UpstreamError

__all__ = ["NodeClient"]

_TIMEOUT_S = 120.0


class NodeClient:
    """
    One node.

    Methods raise :class:`metis.types.UpstreamError` where the node does not answer, or refuses.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def ask(self, method: str, *params: Any) -> Any:
        """Call a method; its result."""
        return self._result(method, self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))

    def ask_many(self, method: str, arguments: Sequence[Sequence[Any]]) -> list[Any]:
        """Call a method many times in one request; the results in order."""
        if not arguments:
            return []
        batch = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, params in enumerate(arguments)
        ]
        answers = self._post(batch)
        if not isinstance(answers, list) or len(answers) != len(batch):
            return [self._result(method, answers)]
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        return [self._result(method, by_id.get(number)) for number in range(len(batch))]

    def _post(self, body: Any) -> Any:
        try:
            answer = self._http.post(self.url, content=orjson.dumps(body), headers={"Content-Type": "application/json"})
            return answer.json()
        except httpx.HTTPError as error:
            raise UpstreamError("unreachable", self.url, str(error)) from None
        except ValueError as error:
            raise UpstreamError("garbage", self.url, str(error)) from None

    def _result(self, method: str, answer: Any) -> Any:
        if not isinstance(answer, dict) or "result" not in answer:
            problem = answer.get("error", {}).get("message", "no result") if isinstance(answer, dict) else "no object"
            raise UpstreamError("answer", self.url, f"{method}: {problem}")
        return answer["result"]
