"""From a request to a receipt: what is checked, in which order, and what is on disk when."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

from metis.ai.receipt import (
    GRAPH_VERSION,
    METER_VERSION,
    TRACE_VERSION,
    Batch,
    Mode,
    Receipt,
    body_hash,
    inputs_commitment,
    outputs_commitment,
    sign_receipt,
    traces_root,
)
from metis.ai.receipt.fields import OPEN_BODY, unproven_of
from metis.ai.verify.document import ReceiptFile
from metis.ai.worker.forms import Plan, plan_of
from metis.ai.worker.gate import NonceGate
from metis.ai.worker.ledger import Ledger
from metis.ai.worker.models import Runs, ServedModel
from metis.ai.worker.requests import SignedRequest, parse_body, signed_request
from metis.ai.worker.settings import WorkerSettings
from metis.engine import address_of
from metis.types import Address, MetisError, RequestRefused, StorageError, TimestampS, Wei

__all__ = ["Answer", "Desk", "Task"]

State = Literal["waiting", "queued", "running", "finished", "cancelled", "failed"]

# BOUND: tasks that are remembered; finished ones are in the ledger.
_REMEMBERED_MAX: Final = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a task gave: the response's body, and the receipt."""

    response: dict[str, Any]
    receipt: Receipt


class Task:
    """
    One request on its way.

    Attributes
    ----------
    state, runs_done : how far it is.
    job : done with the :class:`Answer`, or the reason why there is none.
    listeners : called in the event loop with each piece of text that is written.
    """

    def __init__(self, signed: SignedRequest, plan: Plan) -> None:
        self.signed = signed
        self.plan = plan
        self.state: State = "waiting"
        self.runs = plan.model.start()
        self.listeners: list[Callable[[str], None]] = []
        self.cancelled = threading.Event()
        self.waiters = 0
        self.job: asyncio.Task[Answer] | None = None

    def tell(self, text: str) -> None:
        """Hand a piece of text to all who listen."""
        for listener in tuple(self.listeners):
            listener(text)

    @property
    def runs_done(self) -> int:
        """Runs that are finished."""
        return len(self.runs.traced)


class Desk:
    """
    Takes requests, runs them, and charges for them.

    Attributes
    ----------
    worker : the account whose key signs receipts. models : what is served, by name.
    """

    def __init__(self, settings: WorkerSettings, models: Sequence[ServedModel], private_key: bytes) -> None:
        self.settings = settings
        self.models = {model.name: model for model in models}
        self._by_id = {f"0x{model.id.hex()}": model for model in models}
        self._private_key = private_key
        self.worker = Address(address_of(private_key))
        self.ledger = Ledger(settings.data, settings.domain)
        self._folder = settings.data / "receipts"
        self._folder.mkdir(exist_ok=True, mode=0o700)
        self._gate = NonceGate(self.ledger.last_nonce, settings.hold_s)
        self._runners = ThreadPoolExecutor(settings.runners, "metis-run")
        self._tasks: dict[bytes, Task] = {}
        self._unfinished = 0

    def close(self) -> None:
        """End runs that go on, and let the ledger go."""
        for task in self._tasks.values():
            task.cancelled.set()
        self._runners.shutdown(wait=True, cancel_futures=True)
        self.ledger.close()

    def model_named(self, name: Any) -> ServedModel:
        """The model of a name or an id; raises :class:`metis.types.RequestRefused`."""
        model = self.models.get(name) or self._by_id.get(name) if isinstance(name, str) else None
        if model is None:
            raise RequestRefused("model_not_found", f"{name!r} is not served here: {sorted(self.models)} are", 404)
        return model

    def task(self, task: bytes) -> Task | None:
        """A task that goes on, or ended not long ago."""
        return self._tasks.get(task)

    def submit(self, method: str, path: str, headers: Mapping[str, str], raw: bytes) -> Task:
        """
        Take an HTTP request. What is refused here costs nothing, and its nonce is still free.

        Raises
        ------
        RequestRefused : it is not understood, not signed, not authorised for what it may cost, or there is no room.
        """
        document = parse_body(raw)
        model = self.model_named(document.get("model"))
        signed = signed_request(headers, self.settings.domain, self.worker, model.id, body_hash(method, path, raw))
        # The same signed request again is the same task: it is answered, not charged.
        known = self._tasks.get(signed.task)
        if known is not None and known.state not in ("cancelled", "failed"):
            return known
        task = Task(signed, plan_of(path, model, document))
        done = self.ledger.receipt_of(signed.task)
        if done is None:
            self._check_terms(task)
        if self._unfinished >= self.settings.queue_max + self.settings.runners:
            raise RequestRefused("busy", f"{self._unfinished} tasks wait already", 429)
        self._remember(task)
        self._unfinished += 1
        job = self._carry_out(task) if done is None else self._answer_again(task, done)
        task.job = asyncio.get_running_loop().create_task(job)
        task.job.add_done_callback(functools.partial(self._ended, task))
        return task

    def stored(self, task: bytes) -> dict[str, Any] | None:
        """A finished task's file: receipt, inputs, outputs, traces, response; None where it is not there."""
        try:
            found = json.loads(self._path(task).read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def cancel(self, task: Task) -> None:
        """End a task before its next run. What has run is charged; what has not begun is not."""
        task.cancelled.set()
        if task.state == "waiting" and task.job is not None:
            task.job.cancel()

    async def batches_closer(self) -> None:
        """Close a batch whenever its time has come, until cancelled."""
        while True:
            await asyncio.sleep(self.settings.batch_interval_s)
            await self.close_batch()

    async def close_batch(self) -> None:
        """Close a batch over the receipts that are in none, if there are any; raises ``StorageError``."""
        ledger = self.ledger
        receipts = ledger.receipts[ledger.batched :]
        if receipts:
            number = len(ledger.batches)
            await ledger.close_batch(Batch.of(ledger.domain, self.worker, number, receipts, self._private_key))

    def _check_terms(self, task: Task) -> None:
        """Price, deadline and credit of a request that is not taken yet; raises ``RequestRefused``."""
        request, settings = task.signed.request, self.settings
        now = time.time()
        if not now < request.deadline_s <= now + settings.deadline_s_max:
            problem = f"{request.deadline_s} is past, or more than {settings.deadline_s_max} s ahead of {int(now)}"
            raise RequestRefused("deadline", problem)
        if request.body == OPEN_BODY and not settings.open_bodies:
            raise RequestRefused("signature", "this worker takes no open bodies: sign what you send", 401)
        if task.plan.runs_max > settings.runs_max:
            raise RequestRefused("input", f"it takes {task.plan.runs_max} runs; {settings.runs_max} are allowed")
        cost = self._cost_max(task)
        if cost > request.max_cost_wei:
            problem = f"it may cost {cost} wei; {request.max_cost_wei} are authorised"
            raise RequestRefused("max-cost", problem, 402)
        owed = self.ledger.charged.get(request.payer, 0) + self.ledger.reserved.get(request.payer, 0)
        if settings.credit_wei is not None and owed + cost > settings.credit_wei:
            problem = f"{owed} wei are owed or reserved; with {cost} more it is above {settings.credit_wei}"
            raise RequestRefused("credit", problem, 402)

    def _cost_max(self, task: Task) -> int:
        return task.plan.runs_max * task.plan.model.units * self.settings.price_wei

    async def _carry_out(self, task: Task) -> Answer:
        signed, request = task.signed, task.signed.request
        try:
            await self._gate.turn(request.payer, request.nonce)
            try:
                # While it waited, others were taken: what they reserved counts.
                self._check_terms(task)
                accepted = self.ledger.accept(signed.task, request, self._cost_max(task))
            finally:
                self._gate.taken(request.payer)
        except asyncio.CancelledError:
            task.state = "cancelled"
            raise RequestRefused("cancelled", "it was cancelled before it was taken", 499) from None
        except MetisError:
            task.state = "failed"
            raise
        task.state = "queued"
        await accepted
        try:
            response = await self._run(task)
            if not task.runs_done:
                raise RequestRefused("cancelled", "it was cancelled before it ran", 499)
            receipt = self._receipt(task)
            await asyncio.get_running_loop().run_in_executor(self._runners, self._store, task, receipt, response)
        except BaseException as error:
            task.state = "cancelled" if isinstance(error, RequestRefused) else "failed"
            await self.ledger.abort(signed.task)
            raise
        await self.ledger.finish(receipt)
        task.state = "finished"
        if len(self.ledger.receipts) - self.ledger.batched >= self.settings.batch_size:
            await self.close_batch()
        return Answer(response, receipt)

    async def _answer_again(self, task: Task, receipt: Receipt) -> Answer:
        """The answer to a task that was charged already: as it was stored, else computed once more."""
        task.state = "running"
        stored = self.stored(task.signed.task)
        response = None if stored is None else stored.get("response")
        if response is None:
            response = await self._run(task)
            if traces_root([run.trace.root for run in task.runs.traced]) != receipt.trace:
                task.state = "failed"
                raise RequestRefused("nonce-used", "this was another request, and it is finished", 409)
        task.state = "finished"
        return Answer(response, receipt)

    async def _run(self, task: Task) -> dict[str, Any]:
        loop = asyncio.get_running_loop()

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(task.tell, text)

        def execute() -> dict[str, Any]:
            if not task.cancelled.is_set():
                task.state = "running"
            name = "0x" + task.signed.task.hex()
            return task.plan.execute(task.runs, task.cancelled.is_set, tell, name)

        return await loop.run_in_executor(self._runners, execute)

    def _receipt(self, task: Task) -> Receipt:
        runs, request = task.runs, task.signed.request
        inputs = len(task.plan.model.file.graph.inputs)
        units = len(runs.traced) * task.plan.model.units
        receipt = Receipt(
            self.settings.domain,
            request,
            inputs_commitment([run.trace.commitments[:inputs] for run in runs.traced]),
            outputs_commitment([run.run.output_hash for run in runs.traced]),
            traces_root([run.trace.root for run in runs.traced]),
            len(runs.traced),
            units,
            self.settings.price_wei,
            Wei(units * self.settings.price_wei),
            TimestampS(int(time.time())),
            Mode.REEXECUTION,
            unproven_of(request),
            GRAPH_VERSION,
            TRACE_VERSION,
            METER_VERSION,
            task.signed.signature,
        )
        return sign_receipt(receipt, self._private_key)

    def _store(self, task: Task, receipt: Receipt, response: dict[str, Any]) -> None:
        """Keep what the receipt can be checked with. A kill loses none of it; a power cut may, and it is made again."""
        file = _receipt_file(receipt, task.runs)
        path = self._path(task.signed.task)
        unfinished = path.with_suffix(".part")
        try:
            unfinished.write_text(json.dumps({**file.as_object(), "response": response}), encoding="ascii")
            unfinished.replace(path)
        except OSError as error:
            raise StorageError("io", f"{path}: {error.strerror or error}") from None

    def _path(self, task: bytes) -> Path:
        return self._folder / f"{task.hex()}.json"

    def _remember(self, task: Task) -> None:
        self._tasks.pop(task.signed.task, None)
        self._tasks[task.signed.task] = task
        if len(self._tasks) > _REMEMBERED_MAX:
            ended = [key for key, old in self._tasks.items() if old.job is not None and old.job.done()]
            for key in ended[: len(self._tasks) - _REMEMBERED_MAX]:
                del self._tasks[key]

    def _ended(self, task: Task, job: asyncio.Task[Answer]) -> None:
        self._unfinished -= 1
        # What it gave is on disk, and what it was given is not needed any more.
        task.runs = task.plan.model.start()
        if task.state == "finished" and self._tasks.get(task.signed.task) is task:
            del self._tasks[task.signed.task]
        error = None if job.cancelled() else job.exception()
        if error is not None and not isinstance(error, MetisError):
            # A bug: said to the operator, with nothing of the request in it.
            sys.stderr.write("".join(traceback.format_exception(error)))


def _receipt_file(receipt: Receipt, runs: Runs) -> ReceiptFile:
    return ReceiptFile(
        receipt,
        tuple({name: value.tobytes() for name, value in given.items()} for given in runs.inputs),
        tuple({name: value.tobytes() for name, value in run.run.outputs.items()} for run in runs.traced),
        tuple(run.trace.commitments for run in runs.traced),
    )
