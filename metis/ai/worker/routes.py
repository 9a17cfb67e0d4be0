"""The HTTP interface: OpenAI's paths, and those for tasks, receipts and batches; docs/worker.md lists them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from metis.ai.receipt import HEADERS, access_digest, encode_receipt, signer_of
from metis.ai.receipt.batch import Batch, batch_path
from metis.ai.worker.desk import Answer, Desk, Task
from metis.ai.worker.forms import KIND_OF_PATH, completion_head, error_object
from metis.types import Hash32, InvalidReceipt, MetisError, RequestRefused, StorageError

__all__ = ["application"]

_GONE: Final = 499

Handler = Callable[[Request], Awaitable[Response]]


def application(desk: Desk) -> Starlette:
    """The ASGI application of a desk, which it closes when it ends."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        closer = asyncio.create_task(desk.batches_closer())
        try:
            yield
        finally:
            closer.cancel()
            desk.close()

    routes = _Routes(desk)
    paths: list[tuple[str, str, Handler]] = [
        *((path, "POST", routes.execute) for path in KIND_OF_PATH),
        ("/v1/models", "GET", routes.models),
        ("/v1/models/{name:path}", "GET", routes.model),
        ("/v1/worker", "GET", routes.worker),
        ("/v1/payers/{payer}", "GET", routes.payer),
        ("/v1/tasks/{task}", "GET", routes.progress),
        ("/v1/tasks/{task}", "DELETE", routes.cancel),
        ("/v1/receipts/{task}", "GET", routes.receipt),
        ("/v1/receipts/{task}/batch", "GET", routes.proof),
        ("/v1/batches", "GET", routes.batches),
        ("/v1/batches/{number:int}", "GET", routes.batch),
        ("/health", "GET", routes.health),
    ]
    return Starlette(
        routes=[Route(path, _guarded(handler), methods=[method]) for path, method, handler in paths],
        lifespan=lifespan,
        exception_handlers={404: _missing, 405: _missing},
    )


class _Routes:
    """One handler for each path."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def execute(self, request: Request) -> Response:
        desk = self._desk
        raw = await _body(request, desk.settings.body_bytes_max)
        task = desk.submit(request.method, request.url.path, request.headers, raw)
        if task.plan.is_stream:
            return StreamingResponse(self._stream(task), media_type="text/event-stream", headers=_task_header(task))
        answer = await self._answer(request, task)
        return JSONResponse(answer.response, headers=_headers(task, answer))

    async def payer(self, request: Request) -> Response:
        """The nonce that a payer's next request should have, and what was charged so far."""
        text = request.path_params["payer"].removeprefix("0x")
        try:
            payer = bytes.fromhex(text)
        except ValueError:
            raise RequestRefused("headers", "it is no address") from None
        ledger = self._desk.ledger
        charged = str(ledger.charged.get(payer, 0))
        return JSONResponse({"payer": _hex(payer), "next_nonce": ledger.last_nonce(payer) + 1, "charged_wei": charged})

    async def models(self, _: Request) -> Response:
        """The models that are served."""
        data = [_model_object(self._desk, name) for name in self._desk.models]
        return JSONResponse({"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        """One of them."""
        model = self._desk.model_named(request.path_params["name"])
        return JSONResponse(_model_object(self._desk, model.name))

    async def worker(self, _: Request) -> Response:
        """What a payer must know to sign."""
        settings = self._desk.settings
        return JSONResponse(
            {
                "worker": _hex(self._desk.worker),
                "chain_id": settings.domain.chain_id,
                "contract": _hex(settings.domain.contract),
                "price_wei": str(settings.price_wei),
                "open_bodies": settings.open_bodies,
                "runs_max": settings.runs_max,
            }
        )

    async def progress(self, request: Request) -> Response:
        """How far a task of the payer's is."""
        key = self._allowed(request, "read")
        task = self._desk.task(key)
        receipt = self._desk.ledger.receipt_of(key)
        if task is None and receipt is not None:
            done = {"runs_done": receipt.runs, "runs_max": receipt.runs}
            return JSONResponse({"task": _hex(key), "state": "finished", **done})
        if task is None:
            raise RequestRefused("not_found", "this task has no receipt", 404)
        done = {"runs_done": task.runs_done, "runs_max": task.plan.runs_max}
        return JSONResponse({"task": _hex(key), "state": task.state, **done})

    async def cancel(self, request: Request) -> Response:
        """End a task of the payer's."""
        task = self._desk.task(self._allowed(request, "cancel"))
        if task is not None:
            self._desk.cancel(task)
        return Response(status_code=202)

    async def receipt(self, request: Request) -> Response:
        """A finished task's receipt, with what it can be checked with."""
        key = self._allowed(request, "read")
        receipt = self._desk.ledger.receipt_of(key)
        if receipt is None:
            raise RequestRefused("not_found", "this task has no receipt", 404)
        stored = await asyncio.to_thread(self._desk.stored, key) or {"receipt": _hex(encode_receipt(receipt))}
        stored.pop("response", None)
        return JSONResponse(stored)

    async def proof(self, request: Request) -> Response:
        """The path from a task's receipt to the root of its batch."""
        ledger = self._desk.ledger
        place = ledger.place_of(self._allowed(request, "read"))
        first = 0
        for batch in ledger.batches:
            if place is not None and first <= place < first + batch.count:
                receipts = ledger.receipts[first : first + batch.count]
                path = [_hex(partner) for partner in batch_path(receipts, place - first)]
                return JSONResponse({"batch": _batch_object(batch), "index": place - first, "path": path})
            first += batch.count
        raise RequestRefused("not_found", "this task's receipt is in no batch yet", 404)

    async def batches(self, _: Request) -> Response:
        """All batches."""
        return JSONResponse({"object": "list", "data": [_batch_object(batch) for batch in self._desk.ledger.batches]})

    async def batch(self, request: Request) -> Response:
        """One batch."""
        number = request.path_params["number"]
        if number >= len(self._desk.ledger.batches):
            raise RequestRefused("not_found", f"there are {len(self._desk.ledger.batches)} batches", 404)
        return JSONResponse(_batch_object(self._desk.ledger.batches[number]))

    async def health(self, _: Request) -> Response:
        """Whether it is up."""
        return JSONResponse({"status": "ok"})

    async def _answer(self, request: Request, task: Task) -> Answer:
        """A task's answer; when nobody waits for it any more, it is cancelled."""
        assert task.job is not None  # noqa: S101 - a task that was submitted has one
        task.waiters += 1
        gone = asyncio.create_task(_disconnected(request))
        try:
            await asyncio.wait({task.job, gone}, return_when=asyncio.FIRST_COMPLETED)
            if task.job.done():
                return task.job.result()
            raise RequestRefused("cancelled", "the client went away", _GONE)
        finally:
            gone.cancel()
            task.waiters -= 1
            if not task.waiters and not task.job.done():
                self._desk.cancel(task)

    async def _stream(self, task: Task) -> AsyncIterator[bytes]:
        """A completion as server-sent events: a piece for each text, then the end with the receipt."""
        assert task.job is not None  # noqa: S101 - a task that was submitted has one
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        task.listeners.append(pieces.put_nowait)
        task.job.add_done_callback(lambda _: pieces.put_nowait(None))
        task.waiters += 1
        head = completion_head(task.plan.model.name, _hex(task.signed.task))
        told = 0
        try:
            while (text := await pieces.get()) is not None:
                told += len(text)
                yield _event(head, text, None)
            try:
                answer = task.job.result()
            except MetisError as error:
                yield b"data: " + json.dumps(_refusal(error)[1]).encode() + b"\n\n"
                return
            choice = answer.response["choices"][0]
            yield _event(head, choice["text"][told:], choice["finish_reason"], _headers(task, answer))
            yield b"data: [DONE]\n\n"
        finally:
            task.waiters -= 1
            if not task.waiters and not task.job.done():
                self._desk.cancel(task)

    def _allowed(self, request: Request, action: str) -> Hash32:
        """The task of a path, if whoever asks is its payer; raises ``RequestRefused``."""
        text = request.path_params["task"].removeprefix("0x")
        headers = request.headers
        try:
            task = Hash32(bytes.fromhex(text))
            deadline = int(headers.get(HEADERS["deadline_s"], ""))
            signature = bytes.fromhex(headers.get(HEADERS["signature"], "").removeprefix("0x"))
            if not 0 <= deadline < 1 << 63 or len(task) != 32:
                raise ValueError
        except ValueError:
            raise RequestRefused("headers", "a task, a deadline and a signature are needed", 401) from None
        now = time.time()
        if not now < deadline <= now + self._desk.settings.deadline_s_max:
            raise RequestRefused("deadline", f"{deadline} is past or too far ahead", 401)
        found = self._desk.task(task)
        receipt = self._desk.ledger.receipt_of(task)
        known = found.signed.request if found is not None else None if receipt is None else receipt.request
        try:
            signer = signer_of(access_digest(self._desk.settings.domain, task, action, deadline), signature)
        except InvalidReceipt as error:
            raise RequestRefused("signature", error.problem, 401) from None
        if known is None or signer != known.payer:
            raise RequestRefused("not_found", "there is no such task of yours", 404)
        return task


def _guarded(handler: Handler) -> Handler:
    """A handler whose errors become responses in OpenAI's form."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except MetisError as error:
            status, document = _refusal(error)
            return JSONResponse(document, status_code=status)
        except ClientDisconnect:
            return Response(status_code=_GONE)
        except asyncio.CancelledError:
            return JSONResponse(error_object(503, "stopping", "the worker stops"), status_code=503)

    return guarded


def _refusal(error: MetisError) -> tuple[int, dict[str, Any]]:
    if isinstance(error, RequestRefused):
        return error.status, error_object(error.status, error.reason, error.problem)
    if isinstance(error, StorageError):
        message = "the ledger cannot be written; whether this was charged is seen when the worker is up again"
        return 503, error_object(503, error.slug, message)
    return 500, error_object(500, error.slug, "the worker could not do this; nothing was charged")


async def _missing(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    message = f"{request.method} {request.url.path} is not a path of this worker"
    return JSONResponse(error_object(status, "unknown_url", message), status_code=status)


async def _body(request: Request, most: int) -> bytes:
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > most:
            raise RequestRefused("body", f"it has more than {most} bytes", 413)
    return bytes(raw)


async def _disconnected(request: Request) -> None:
    """Return when the client has gone away; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _event(head: dict[str, Any], text: str, reason: str | None, receipt: dict[str, str] | None = None) -> bytes:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": reason}
    event = {**head, "choices": [choice], **({} if receipt is None else {"metis": receipt})}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _model_object(desk: Desk, name: str) -> dict[str, Any]:
    model = desk.models[name]
    price = str(model.units * desk.settings.price_wei)
    metis = {"id": _hex(model.id), "kind": model.kind, "units": model.units, "run_cost_wei": price}
    return {"id": name, "object": "model", "created": 0, "owned_by": _hex(desk.worker), "metis": metis}


def _batch_object(batch: Batch) -> dict[str, Any]:
    return {
        "worker": _hex(batch.worker),
        "number": batch.number,
        "count": batch.count,
        "cost_wei": str(batch.cost_wei),
        "root": _hex(batch.root),
        "signature": _hex(batch.signature),
    }


def _task_header(task: Task) -> dict[str, str]:
    return {"x-metis-task": _hex(task.signed.task)}


def _headers(task: Task, answer: Answer) -> dict[str, str]:
    receipt = answer.receipt
    return {
        **_task_header(task),
        "x-metis-cost-wei": str(receipt.cost_wei),
        "x-metis-receipt": _hex(encode_receipt(receipt)),
    }


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()
