"""The client of a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from metis.ai.receipt import Domain, Receipt, Request, body_hash
from metis.ai.receipt.signing import request_digest
from metis.client.results import (
    Classification,
    Classifications,
    Completion,
    Embeddings,
    Piece,
    Progress,
    ServedModel,
    WorkerFacts,
)
from metis.client.signing import Payer, checked_receipt
from metis.types import Address, Hash32, InvalidReceipt, RequestRefused, UpstreamError

__all__ = ["AsyncClient"]


class AsyncClient:
    """
    A payer's connection to one worker.

    Parameters
    ----------
    url : where the worker is, such as "http://127.0.0.1:8550".
    private_key : the payer's.
    worker, domain : what the worker should say of itself; whoever pays real money gives both.
    valid_s : how long a signed request may wait, in seconds.
    transport : for tests and proxies; httpx's own otherwise.
    """

    def __init__(
        self,
        url: str,
        private_key: bytes,
        *,
        worker: Address | None = None,
        domain: Domain | None = None,
        timeout_s: float = 300.0,
        valid_s: int = 600,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.payer = Payer(private_key)
        self._expected = (worker, domain)
        self._valid_s = valid_s
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout_s, transport=transport, limits=limits)
        self._facts: WorkerFacts | None = None
        self._models: dict[str, ServedModel] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def worker(self) -> WorkerFacts:
        """
        What the worker says of itself, asked for once.

        Raises
        ------
        InvalidReceipt : it is not the worker, chain or contract that was expected.
        """
        if self._facts is None:
            found = await self._get("/v1/worker")
            domain = Domain(int(found["chain_id"]), Address(_bytes(found["contract"])))
            facts = WorkerFacts(Address(_bytes(found["worker"])), domain, int(found["price_wei"]))
            worker, expected = self._expected
            if worker is not None and facts.worker != worker:
                raise InvalidReceipt("worker", f"0x{facts.worker.hex()} instead of 0x{worker.hex()}")
            if expected is not None and domain != expected:
                raise InvalidReceipt("chain", f"{domain} instead of {expected}")
            self._facts = facts
        return self._facts

    async def models(self) -> list[ServedModel]:
        """The worker's models."""
        found = await self._get("/v1/models")
        models = [_served(model) for model in found["data"]]
        self._models = {model.name: model for model in models}
        return models

    async def embeddings(self, model: str, texts: Sequence[str | Sequence[int]], *, max_cost_wei: int) -> Embeddings:
        """
        One vector for each text.

        Raises
        ------
        RequestRefused : the worker does not take it. InvalidReceipt : its receipt is not about this.
        UpstreamError : the worker does not answer as it should.
        """
        body = {"model": model, "input": [text if isinstance(text, str) else list(text) for text in texts]}
        found, task, receipt = await self._execute("/v1/embeddings", body, max_cost_wei)
        vectors = tuple(tuple(item["embedding"]) for item in found["data"])
        return Embeddings(vectors, task, receipt)

    async def classify(self, model: str, samples: Sequence[Sequence[float]], *, max_cost_wei: int) -> Classifications:
        """The class of each sample, a list of as many numbers as the model takes; raises as :meth:`embeddings`."""
        body = {"model": model, "input": [list(sample) for sample in samples]}
        found, task, receipt = await self._execute("/v1/classifications", body, max_cost_wei)
        data = tuple(Classification(item["label"], tuple(item["scores"])) for item in found["data"])
        return Classifications(data, task, receipt)

    async def complete(
        self, model: str, prompt: str | Sequence[int], *, max_tokens: int, max_cost_wei: int, seed: int = 0
    ) -> Completion:
        """A text that goes on from a prompt; raises as :meth:`embeddings`."""
        body = _completion_body(model, prompt, max_tokens, seed, is_stream=False)
        found, task, receipt = await self._execute("/v1/completions", body, max_cost_wei)
        choice = found["choices"][0]
        return Completion(choice["text"], choice["finish_reason"], task, receipt)

    async def complete_stream(
        self, model: str, prompt: str | Sequence[int], *, max_tokens: int, max_cost_wei: int, seed: int = 0
    ) -> AsyncIterator[Piece]:
        """
        The same, piece by piece; the last piece has the receipt.

        Whoever stops listening cancels the task: what was written is charged. Raises as :meth:`embeddings`.
        """
        body = _completion_body(model, prompt, max_tokens, seed, is_stream=True)
        content = orjson.dumps(body)
        request, headers = await self._signed("/v1/completions", model, content, max_cost_wei)
        has_ended = False
        async with self._http.stream("POST", "/v1/completions", content=content, headers=headers) as response:
            if response.status_code != 200:
                await response.aread()
                raise self._refusal(response)
            async for line in response.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                event = orjson.loads(line[len("data: ") :])
                if "error" in event:
                    raise RequestRefused(str(event["error"]["code"]), str(event["error"]["message"]))
                metis = event.get("metis")
                receipt = None
                if metis is not None:
                    receipt = checked_receipt(metis["x-metis-receipt"], (await self.worker()).domain, request)
                    has_ended = True
                yield Piece(event["choices"][0]["text"], receipt)
        if not has_ended:
            raise UpstreamError("answer", str(self._http.base_url), "the text ends without a receipt")

    async def progress(self, task: bytes) -> Progress:
        """How far a task of one's own is; raises :class:`metis.types.RequestRefused` where there is none."""
        found = await self._get(f"/v1/tasks/0x{task.hex()}", await self._access(task, "read"))
        return Progress(found["state"], found.get("runs_done", 0), found.get("runs_max", 0))

    async def cancel(self, task: bytes) -> None:
        """End a task of one's own before its next run; raises as :meth:`progress`."""
        response = await self._send("DELETE", f"/v1/tasks/0x{task.hex()}", await self._access(task, "cancel"))
        if response.status_code != 202:
            raise self._refusal(response)

    async def receipt_file(self, task: bytes) -> dict[str, Any]:
        """A task's receipt with inputs, outputs and trace, as ``metis ai verify`` reads it; raises as above."""
        return await self._get(f"/v1/receipts/0x{task.hex()}", await self._access(task, "read"))

    async def batch_proof(self, task: bytes) -> dict[str, Any]:
        """The batch that a task's receipt is in, and the path to its root; raises as above."""
        return await self._get(f"/v1/receipts/0x{task.hex()}/batch", await self._access(task, "read"))

    async def _execute(
        self, path: str, body: dict[str, Any], max_cost_wei: int
    ) -> tuple[dict[str, Any], Hash32, Receipt]:
        content = orjson.dumps(body)
        request, headers = await self._signed(path, body["model"], content, max_cost_wei)
        response = await self._send("POST", path, headers, content)
        if response.status_code != 200:
            raise self._refusal(response)
        domain = (await self.worker()).domain
        receipt = checked_receipt(response.headers.get("x-metis-receipt", ""), domain, request)
        return self._object(response), request_digest(domain, request), receipt

    async def _signed(self, path: str, model: str, content: bytes, max_cost_wei: int) -> tuple[Request, dict[str, str]]:
        facts = await self.worker()
        if model not in self._models:
            await self.models()
        if model not in self._models:
            raise RequestRefused("model_not_found", f"{model!r} is not served there", 404)
        if self.payer.needs_nonce:
            found = await self._get(f"/v1/payers/0x{self.payer.address.hex()}")
            self.payer.learn_nonce(int(found["next_nonce"]))
        body = body_hash("POST", path, content)

        nonce = self.payer.take_nonce()
        request = self.payer.request(facts.worker, self._models[model].id, body, max_cost_wei, self._valid_s, nonce)
        return request, self.payer.headers(facts.domain, request)

    async def _access(self, task: bytes, action: str) -> dict[str, str]:
        return self.payer.access_headers((await self.worker()).domain, task, action, self._valid_s)

    async def _get(self, path: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        response = await self._send("GET", path, headers)
        if response.status_code != 200:
            raise self._refusal(response)
        return self._object(response)

    async def _send(
        self, method: str, path: str, headers: dict[str, str] | None = None, content: bytes | None = None
    ) -> httpx.Response:
        try:
            return await self._http.request(method, path, headers=headers, content=content)
        except httpx.HTTPError as error:
            raise UpstreamError("connection", str(self._http.base_url), f"{type(error).__name__}: {error}") from None

    def _refusal(self, response: httpx.Response) -> RequestRefused:
        error = self._object(response).get("error", {})
        if error.get("code") == "nonce-too-low":
            self.payer.forget_nonce()
        reason, message = str(error.get("code", "unknown")), str(error.get("message", response.text[:200]))
        return RequestRefused(reason, message, response.status_code)

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        try:
            found = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            detail = f"HTTP {response.status_code} without a JSON object"
            raise UpstreamError("answer", str(self._http.base_url), detail)
        return found


def _completion_body(
    model: str, prompt: str | Sequence[int], max_tokens: int, seed: int, *, is_stream: bool
) -> dict[str, Any]:
    text = prompt if isinstance(prompt, str) else list(prompt)
    return {"model": model, "prompt": text, "max_tokens": max_tokens, "seed": seed, "stream": is_stream}


def _served(document: dict[str, Any]) -> ServedModel:
    metis = document["metis"]
    cost, units = int(metis["run_cost_wei"]), int(metis["units"])
    return ServedModel(document["id"], Hash32(_bytes(metis["id"])), metis["kind"], units, cost)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
