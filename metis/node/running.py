"""Running a node until it is told to stop: the event loop, signals, and an orderly end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import uvloop

from metis.node.service import NodeService

__all__ = ["run_node"]


_READ_SIZE_BYTES = 4096


def run_node(
    make: Callable[[], NodeService], on_started: Callable[[NodeService], None], pipe: int | None = None
) -> None:
    """
    Start a node and serve until SIGINT or SIGTERM; then stop it in order.

    Parameters
    ----------
    make : makes the node, inside the event loop. on_started : called when it answers.
    pipe : a file descriptor; where it ends, because nobody is left who could write to it, the node stops as well.

    Raises
    ------
    Whatever making and starting raise. A second signal ends the process at once.
    """
    uvloop.run(_serve(make, on_started, pipe))


async def _serve(make: Callable[[], NodeService], on_started: Callable[[NodeService], None], pipe: int | None) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop(number: signal.Signals) -> None:
        if stopped.is_set():
            # Somebody is impatient: the next one takes the default action.
            loop.remove_signal_handler(number)
        stopped.set()

    def read(pipe: int) -> None:
        # Whatever comes is for nobody.
        if not os.read(pipe, _READ_SIZE_BYTES):
            loop.remove_reader(pipe)
            stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    if pipe is not None:
        loop.add_reader(pipe, read, pipe)
    service = make()
    try:
        await service.start()
        on_started(service)
        await stopped.wait()
    finally:
        await service.stop()
