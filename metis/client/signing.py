"""A payer's key at work: signed headers for requests, for any HTTP client."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any

import httpx

from metis.ai.receipt import (
    HEADERS,
    Domain,
    Expected,
    Receipt,
    Request,
    access_digest,
    body_hash,
    check_receipt,
    decode_receipt,
    headers_of,
    request_digest,
    sign_digest,
    sign_request,
)
from metis.ai.receipt.fields import OPEN_BODY
from metis.engine import address_of
from metis.types import Address, Hash32, InvalidReceipt, TimestampS, Wei

__all__ = ["Payer", "SignedAuth"]


class Payer:
    """
    A key, and the nonces that it has used. Threads may share one.

    Attributes
    ----------
    address : the key's account.
    """

    def __init__(self, private_key: bytes) -> None:
        self._private_key = private_key
        self.address = Address(address_of(private_key))
        self._next_nonce: int | None = None
        self._lock = threading.Lock()

    @property
    def needs_nonce(self) -> bool:
        """Whether the worker must be asked which nonce is next."""
        return self._next_nonce is None

    def learn_nonce(self, next_nonce: int) -> None:
        """Take note of the worker's next nonce; what was used here stays used."""
        with self._lock:
            self._next_nonce = max(next_nonce, self._next_nonce or 0)

    def forget_nonce(self) -> None:
        """Ask the worker again before the next request."""
        with self._lock:
            self._next_nonce = None

    def take_nonce(self) -> int:
        """The next nonce, once."""
        with self._lock:
            if self._next_nonce is None:
                raise InvalidReceipt("nonce", "the worker has not said which is next")
            self._next_nonce += 1
            return self._next_nonce - 1

    def request(
        self, worker: Address, model: Hash32, body: Hash32, max_cost_wei: int, valid_s: int, nonce: int
    ) -> Request:
        """A request that is valid for some seconds from now."""
        deadline = TimestampS(int(time.time()) + valid_s)
        return Request(self.address, worker, model, body, Wei(max_cost_wei), nonce, deadline)

    def headers(self, domain: Domain, request: Request) -> dict[str, str]:
        """The headers that authorise a request."""
        return headers_of(request, sign_request(domain, request, self._private_key))

    def access_headers(self, domain: Domain, task: bytes, action: str, valid_s: int) -> dict[str, str]:
        """The headers that show that a task is one's own."""
        deadline = int(time.time()) + valid_s
        signature = sign_digest(access_digest(domain, task, action, deadline), self._private_key)
        return {HEADERS["deadline_s"]: str(deadline), HEADERS["signature"]: "0x" + signature.hex()}


def checked_receipt(text: str, domain: Domain, request: Request) -> Receipt:
    """
    The receipt of an answer, which must be about this very request.

    Raises
    ------
    InvalidReceipt : it is not, or not signed, or costs more than was authorised.
    """
    try:
        receipt = decode_receipt(bytes.fromhex(text.removeprefix("0x")))
    except ValueError:
        raise InvalidReceipt("receipt", "it is not hexadecimal") from None
    check_receipt(receipt, Expected(domain, request.payer, request.worker, request.model, request.nonce))
    if request_digest(domain, receipt.request) != request_digest(domain, request):
        raise InvalidReceipt("task", "the receipt is about another request")
    return receipt


class SignedAuth(httpx.Auth):
    """
    Signs every POST of an httpx client, such as that of the ``openai`` package.

    ``OpenAI(base_url=…, api_key="-", http_client=httpx.Client(auth=SignedAuth(…)))``

    Parameters
    ----------
    models : ids by the name that requests use.
    next_nonce : the payer's next one, as the worker says at ``/v1/payers/ADDRESS``.
    """

    requires_request_body = True

    def __init__(
        self,
        private_key: bytes,
        domain: Domain,
        worker: Address,
        models: dict[str, Hash32],
        max_cost_wei: int,
        next_nonce: int,
        valid_s: int = 600,
    ) -> None:
        self._payer = Payer(private_key)
        self._payer.learn_nonce(next_nonce)
        self._domain, self._worker, self._models = domain, worker, models
        self._max_cost_wei, self._valid_s = max_cost_wei, valid_s

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request for what its body says."""
        if request.method == "POST":
            body = body_hash(request.method, request.url.path, request.content)
            request.headers.update(self.headers_for(_model_in(request.content), body))
        yield request

    def headers_for(self, model: str, body: Hash32 = OPEN_BODY) -> dict[str, str]:
        """Headers for one request, by default for any body: what a client that only takes headers is given."""
        nonce = self._payer.take_nonce()
        signed = self._payer.request(self._worker, self._models[model], body, self._max_cost_wei, self._valid_s, nonce)
        return self._payer.headers(self._domain, signed)


def _model_in(content: bytes) -> Any:
    import orjson

    return orjson.loads(content)["model"]
