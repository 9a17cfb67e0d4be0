"""A small JSON-RPC client for what has to be set up before something is measured."""

from __future__ import annotations

import http.client
from typing import Any

import orjson

from metis.types import MetisError

__all__ = ["BenchFailure", "Client", "request_body"]


class BenchFailure(MetisError):
    """
    A measurement could not be made.

    Attributes
    ----------
    reason : what went wrong, and what to do.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def request_body(method: str, *params: Any) -> bytes:
    """Encode one request."""
    return orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


class Client:
    """One connection to a node on loopback."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, method: str, *params: Any) -> Any:
        """Call a method; raises BenchFailure with the node's words where it answers an error."""
        answer = self.post(request_body(method, *params))
        if "error" in answer:
            raise BenchFailure(f"{method}: {answer['error']}")
        return answer["result"]

    def post(self, body: bytes) -> Any:
        """Send a message and return the decoded answer."""
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        return orjson.loads(self._connection.getresponse().read())
