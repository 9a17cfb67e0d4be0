"""Running a node until it is told to stop: the event loop, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import uvloop

from metis.node.service import NodeService

__all__ = ["run_node"]


def run_node(
    make: Callable[[], NodeService],
    on_started: Callable[[NodeService], None],
    watch: Callable[[Callable[[], None]], None] | None = None,
) -> None:
    """
    Start a node and serve until SIGINT or SIGTERM; then stop it in order.

    Parameters
    ----------
    make : makes the node, inside the event loop. on_started : called when it answers.
    watch : is given what stops the node as well, inside the event loop.

    Raises
    ------
    Whatever making and starting raise. A second signal ends the process at once.
    """
    uvloop.run(_serve(make, on_started, watch))


async def _serve(
    make: Callable[[], NodeService],
    on_started: Callable[[NodeService], None],
    watch: Callable[[Callable[[], None]], None] | None,
) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        if stopped.is_set():
            # Somebody is impatient: the next one takes the default action.
            loop.remove_signal_handler(number)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    if watch is not None:
        watch(stopped.set)
    service = make()
    try:
        await service.start()
        on_started(service)
        await stopped.wait()
    finally:
        await service.stop()
