"""
Calls of one message that are not answered at once: on a thread, as a coroutine, or as a group.

In: calls, and the exchange that waits for them. Out: their answers, in order, through
``exchange.resume``. Invariant: every call has exactly one answer, whatever its handler does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol

from metis.rpc.jsonrpc import Call
from metis.rpc.registry import Method

if TYPE_CHECKING:
    from metis.rpc.dispatch import Dispatcher

__all__ = ["Exchange", "OnPool", "PoolRun", "run_async", "run_group"]


class Exchange(Protocol):
    """Who waits for the answers."""

    dispatcher: Dispatcher

    def resume(self, answers: list[bytes]) -> None:
        """Take the answers of the calls that were waited for, and go on."""


@dataclass(slots=True)
class OnPool:
    """
    What a hot method may return when it finds that it would take too long: the rest, for a thread.

    So most calls of a method can be answered inline, and only the long ones pay for a thread.
    """

    run: Callable[[], Any]


class PoolRun:
    """Consecutive pool calls of one message, run on one thread in order."""

    __slots__ = ("_answers", "_calls", "_exchange", "_measured", "cancelled")

    def __init__(self, exchange: Exchange, calls: list[tuple[Method, Call, OnPool | None]]) -> None:
        self._exchange = exchange
        self._calls = calls
        self._answers: list[bytes] = []
        self._measured: list[tuple[Method, int, bool]] = []
        self.cancelled = False

    def cancel(self) -> None:
        """Skip the calls that have not begun; the one in progress cannot be stopped."""
        self.cancelled = True

    def run(self) -> None:
        """Run the calls; on a pool thread."""
        dispatcher = self._exchange.dispatcher
        for method, call, rest in self._calls:
            if self.cancelled:
                return
            started_ns = perf_counter_ns()
            failed = False
            try:
                result = method.handler(*method.arguments(call.params)) if rest is None else rest.run()
                answer = dispatcher.answer(call, result)
            except Exception as failure:  # noqa: BLE001 - whatever a method raises becomes an error answer
                failed = True
                answer = dispatcher.failure(call, failure)
            self._answers.append(answer)
            self._measured.append((method, perf_counter_ns() - started_ns, failed))

    def finish(self) -> None:
        """Hand the answers over; on the event loop."""
        counters = self._exchange.dispatcher.counters
        for method, elapsed_ns, failed in self._measured:
            counters.of_method(method.name).record(elapsed_ns, failed=failed)
        if not self.cancelled:
            self._exchange.resume(self._answers)


async def run_async(exchange: Exchange, method: Method, call: Call) -> None:
    """Run one coroutine method."""
    dispatcher = exchange.dispatcher
    started_ns = perf_counter_ns()
    failed = False
    try:
        answer = dispatcher.answer(call, await method.handler(*method.arguments(call.params)))
    except Exception as failure:  # noqa: BLE001 - whatever a method raises becomes an error answer
        failed = True
        answer = dispatcher.failure(call, failure)
    dispatcher.counters.of_method(method.name).record(perf_counter_ns() - started_ns, failed=failed)
    exchange.resume([answer])


async def run_group(exchange: Exchange, method: Method, calls: list[Call]) -> None:
    """Run consecutive calls of a group method as one; each gets its own result or error."""
    dispatcher = exchange.dispatcher
    started_ns = perf_counter_ns()
    results: list[Any] = []
    arguments: list[list[Any]] = []
    for call in calls:
        try:
            arguments.append(method.arguments(call.params))
            results.append(None)
        except Exception as failure:  # noqa: BLE001 - as in run_async
            results.append(failure)
    try:
        found = iter(await method.handler(arguments))
        results = [next(found) if result is None else result for result in results]
    except Exception as failure:  # noqa: BLE001 - as in run_async
        results = [failure if result is None else result for result in results]
    share_ns = (perf_counter_ns() - started_ns) // len(calls)
    counters = dispatcher.counters.of_method(method.name)
    answers = []
    for call, result in zip(calls, results, strict=True):
        failed = isinstance(result, Exception)
        try:
            answers.append(dispatcher.failure(call, result) if failed else dispatcher.answer(call, result))
        except Exception as failure:  # noqa: BLE001 - an answer that is too large
            failed = True
            answers.append(dispatcher.failure(call, failure))
        counters.record(share_ns, failed=failed)
    exchange.resume(answers)
