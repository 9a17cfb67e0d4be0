"""
From one message to its answer: finds methods, runs them by their kind, keeps time and order.

In: the bytes of a message and the session it came in on. Out: the bytes of the answer, through a
callback. Invariant: the callback is called exactly once per message, on the event loop, perhaps
before :meth:`Dispatcher.submit` returns; the answers of a batch are in the order of its calls,
which are run one after another. Cost: no task and no future for hot and pool methods.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol, cast

from metis.rpc.errors import ErrorCode, RpcError, error_answer
from metis.rpc.jsonrpc import Call, Refusal, encode_batch, encode_error, encode_result, parse_message, shown
from metis.rpc.registry import Kind, Method, MethodRegistry, Shortcut
from metis.rpc.runs import OnPool, PoolRun, run_async, run_group

if TYPE_CHECKING:
    from metis.rpc.counters import RpcCounters
    from metis.rpc.limits import RpcLimits
    from metis.rpc.pool import CallPool
    from metis.rpc.subscriptions import Subscriber

__all__ = ["Dispatcher", "Followed", "OnPool", "Reply", "Session"]

log = logging.getLogger("metis.rpc")

Reply = Callable[[bytes], None]
"""Takes the answer of a message; empty for a notification."""

# A batch gives other connections a turn after running inline for so long.
BATCH_SLICE_NS = 2_000_000
POOL_RUN_COUNT_MAX = 64
GROUP_COUNT_MAX = 1_024

# Names of their own: looking up a member in an enum's class costs as much as a function call.
HOT, SESSION = Kind.HOT, Kind.SESSION


class Session(Protocol):
    """
    The connection a message came in on, as session methods see it.

    Attributes
    ----------
    transport_name : "http", "websocket" or "ipc".
    subscriber : where notifications go, or None where the transport has none (HTTP).
    """

    transport_name: str
    subscriber: Subscriber | None


@dataclass(slots=True)
class Followed:
    """What a session method may return: a result, and what to do once its answer is written."""

    result: Any
    after_reply: Callable[[], None]


class Dispatcher:
    """Runs the messages of any number of connections against one registry."""

    def __init__(
        self,
        registry: MethodRegistry,
        limits: RpcLimits,
        counters: RpcCounters,
        pool: CallPool,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.serve(registry)
        self.limits = limits
        self.counters = counters
        self._method_counters = counters.methods
        self.pool = pool
        self.loop = loop
        self.timeout_s = limits.request_timeout_ms / 1_000
        self._tasks: set[asyncio.Task[None]] = set()
        self._after_reply: list[Callable[[], None]] = []

    def serve(self, registry: MethodRegistry) -> None:
        """Answer from a registry from now on."""
        self._registry = registry
        self._known = registry.known
        self._shortcut = registry.shortcut

    def submit(self, payload: bytes, session: Session, reply: Reply) -> None:
        """Answer one message; never raises."""
        if self._shortcut is not None and (ready := self._answer_at_once(payload)) is not None:
            reply(ready)
            return
        message = parse_message(payload, self.limits.batch_count_max)
        if type(message) is Call:
            answer = self.run_inline(message, session)
            if isinstance(answer, bytes):
                reply(answer)
                if self._after_reply:
                    for follow in self.take_after_reply():
                        follow()
            else:
                _Exchange(self, [message], session, reply, is_batch=False).wait_for(message, answer)
        elif isinstance(message, list):
            _Exchange(self, message, session, reply, is_batch=True).proceed()
        else:
            reply(self.refuse(cast("Refusal", message)))

    def _answer_at_once(self, payload: bytes) -> bytes | None:
        """Let the shortcut answer a message; None where it leaves the message to the methods."""
        started_ns = perf_counter_ns()
        try:
            found = cast("Shortcut", self._shortcut)(payload)
        except Exception:
            log.exception("the shortcut failed")  # the methods will say what is wrong
            return None
        if found is None:
            return None
        answer, names = found
        elapsed_ns = perf_counter_ns() - started_ns
        counters = self._method_counters
        if type(names) is str:
            (counters.get(names) or self.counters.of_method(names)).record(elapsed_ns, failed=False)
        else:
            share_ns = elapsed_ns // len(names)
            for name in names:
                (counters.get(name) or self.counters.of_method(name)).record(share_ns, failed=False)
        return answer

    def method(self, name: str) -> Method | None:
        """Return a method, or None where there is no such method."""
        return self._known.get(name) or self._registry.method(name)

    def stop(self) -> None:
        """Cancel what waits; nobody will read the answers."""
        for task in list(self._tasks):
            task.cancel()

    def refuse(self, refusal: Refusal) -> bytes:
        """Answer what is no request."""
        self.counters.invalid_message_count += 1
        return b"" if refusal.id_json is None else encode_error(refusal.id_json, refusal.error)

    def run_inline(self, call: Call, session: Session) -> bytes | OnPool | None:
        """Answer a call that needs no waiting; else return what is left to do, or None for all of it."""
        method = self._known.get(call.method) or self._registry.method(call.method)
        if method is None:
            self.counters.unknown_method_count += 1
            return self.unknown_method(call)
        kind = method.kind
        if kind is not HOT and kind is not SESSION:
            return None
        started_ns = perf_counter_ns()
        failed = False
        try:
            arguments = method.arguments(call.params)
            if kind is HOT:
                result = method.handler(*arguments)
                if type(result) is OnPool:
                    return result
            else:
                result = method.handler(session, *arguments)
                if type(result) is Followed:
                    self._after_reply.append(result.after_reply)
                    result = result.result
            answer = self.answer(call, result)
        except Exception as failure:  # noqa: BLE001 - whatever a method raises becomes an error answer
            failed = True
            answer = self.failure(call, failure)
        elapsed_ns = perf_counter_ns() - started_ns
        counters = self._method_counters.get(call.method) or self.counters.of_method(call.method)
        counters.record(elapsed_ns, failed=failed)
        return answer

    def take_after_reply(self) -> list[Callable[[], None]]:
        """Take over what the calls run last want done once their answers are written."""
        taken, self._after_reply = self._after_reply, []
        return taken

    @staticmethod
    def unknown_method(call: Call) -> bytes:
        """Answer a call of a method that does not exist, in geth's words."""
        if call.id_json is None:
            return b""
        message = f"the method {shown(call.method)} does not exist/is not available"
        return encode_error(call.id_json, RpcError(ErrorCode.METHOD_NOT_FOUND, message))

    def answer(self, call: Call, result: Any) -> bytes:
        """Encode a result; raises RpcError when it is too large. May run on a pool thread."""
        if call.id_json is None:
            return b""
        answer = encode_result(call.id_json, result)
        if len(answer) > self.limits.response_size_bytes_max:
            raise response_too_large(self.limits.response_size_bytes_max)
        return answer

    @staticmethod
    def failure(call: Call, failure: Exception) -> bytes:
        """Encode what a method raised, and log it when it is a bug. May run on a pool thread."""
        error = error_answer(failure)
        if error.code == ErrorCode.INTERNAL_ERROR:
            log.error("%s failed", shown(call.method), exc_info=failure)
        return b"" if call.id_json is None else encode_error(call.id_json, error)

    def start_task(self, run: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine whose answers go to an exchange; it is cancelled when the server stops."""
        task = self.loop.create_task(run)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Exchange:
    """
    One message whose answer takes more than one turn of the event loop.

        proceed → (inline calls)* → waiting → resume → proceed → … → reply
                                       └── expire → reply
    """

    __slots__ = ("_after_reply", "_answers", "_answers_size", "_is_batch", "_items", "_position", "_reply", "_running",
                 "_timer", "dispatcher", "session")  # fmt: skip

    def __init__(
        self, dispatcher: Dispatcher, items: list[Call | Refusal], session: Session, reply: Reply, *, is_batch: bool
    ) -> None:
        self.dispatcher = dispatcher
        self.session = session
        self._items = items
        self._is_batch = is_batch
        self._position = 0
        self._answers: list[bytes] = []
        self._answers_size = 0
        self._after_reply: list[Callable[[], None]] = []
        self._reply: Reply | None = reply
        self._running: PoolRun | asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def proceed(self) -> None:
        """Run calls until one has to be waited for, the slice is used up, or all are answered."""
        if self._reply is None:
            return
        dispatcher = self.dispatcher
        slice_end_ns = perf_counter_ns() + BATCH_SLICE_NS
        while self._position < len(self._items):
            item = self._items[self._position]
            if isinstance(item, Refusal):
                self._take(dispatcher.refuse(item))
                continue
            answer = dispatcher.run_inline(item, self.session)
            if not isinstance(answer, bytes):
                self.wait_for(item, answer)
                return
            self._after_reply += dispatcher.take_after_reply()
            self._take(answer)
            if perf_counter_ns() > slice_end_ns:
                self._start_timer()
                dispatcher.loop.call_soon(self.proceed)
                return
        self._finish()

    def resume(self, answers: list[bytes]) -> None:
        """Take the answers of the calls that were waited for, and go on."""
        self._running = None
        if self._reply is None:
            return  # ran out of time before
        for answer in answers:
            if self._position < len(self._items):  # the size limit may have answered the rest
                self._take(answer)
        self.proceed()

    def _take(self, answer: bytes) -> None:
        """Keep the answer of the call at the position; past the size limit, refuse the rest."""
        self._position += 1
        if not answer:
            return
        self._answers.append(answer)
        self._answers_size += len(answer)
        size_max = self.dispatcher.limits.response_size_bytes_max
        if self._answers_size > size_max:
            self._refuse_rest(response_too_large(size_max))

    def wait_for(self, call: Call, rest: OnPool | None) -> None:
        """Start the pool or async call at the position, or the rest of a hot one."""
        dispatcher = self.dispatcher
        # UNWRAP: run_inline has answered calls of methods that do not exist.
        method = cast("Method", dispatcher.method(call.method))
        if method.kind is Kind.ASYNC:
            self._running = dispatcher.start_task(run_async(self, method, call))
        elif method.kind is Kind.GROUP:
            self._running = dispatcher.start_task(run_group(self, method, self._calls_of(method)))
        elif dispatcher.pool.waiting_count >= dispatcher.limits.pool_queue_count_max:
            self._refuse_rest(RpcError(ErrorCode.LIMIT_EXCEEDED, "server is busy, try again later"))
            self._finish()
            return
        else:
            self._running = run = PoolRun(self, self._pool_calls() if rest is None else [(method, call, rest)])
            dispatcher.pool.submit(run)
        self._start_timer()

    def _pool_calls(self) -> list[tuple[Method, Call, OnPool | None]]:
        """Collect the pool calls that follow each other from the position on."""
        calls: list[tuple[Method, Call, OnPool | None]] = []
        for item in self._items[self._position : self._position + POOL_RUN_COUNT_MAX]:
            if isinstance(item, Refusal):
                break
            method = self.dispatcher.method(item.method)
            if method is None or method.kind is not Kind.POOL:
                break
            calls.append((method, item, None))
        return calls

    def _calls_of(self, method: Method) -> list[Call]:
        """Collect the calls of one method that follow each other from the position on."""
        calls: list[Call] = []
        for item in self._items[self._position : self._position + GROUP_COUNT_MAX]:
            if isinstance(item, Refusal) or item.method != method.name:
                break
            calls.append(item)
        return calls

    def _start_timer(self) -> None:
        """Set the deadline of the whole message, once."""
        if self._timer is None:
            self._timer = self.dispatcher.loop.call_later(self.dispatcher.timeout_s, self._expire)

    def _expire(self) -> None:
        if self._running is not None:
            self._running.cancel()
        self.dispatcher.counters.timeout_count += 1
        self._refuse_rest(RpcError(ErrorCode.RESOURCE_UNAVAILABLE, "request timed out"))
        self._finish()

    def _refuse_rest(self, error: RpcError) -> None:
        """Answer every call that has no answer yet with the same error."""
        for item in self._items[self._position :]:
            if item.id_json is not None:
                self._answers.append(encode_error(item.id_json, error))
        self._position = len(self._items)

    def _finish(self) -> None:
        reply, self._reply = self._reply, None
        if self._timer is not None:
            self._timer.cancel()
        if reply is None:
            return
        if self._is_batch:
            reply(encode_batch(self._answers) if self._answers else b"")
        else:
            reply(self._answers[0] if self._answers else b"")
        for follow in self._after_reply:
            follow()


def response_too_large(size_bytes_max: int) -> RpcError:
    """Return the error for an answer past ``response_size_bytes_max``."""
    return RpcError(ErrorCode.LIMIT_EXCEEDED, f"response too large: at most {size_bytes_max} bytes")
