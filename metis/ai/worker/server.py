"""Running a worker: granian in this process, so that the key is in one place and the ledger has one writer."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from metis.ai.worker.desk import Desk
from metis.ai.worker.routes import application

__all__ = ["serve"]


_READ_SIZE_BYTES = 4_096


def serve(desk: Desk, host: str, port: int, pipe: int | None = None) -> None:
    """
    Serve a desk until the process is told to stop (SIGINT, SIGTERM).

    Parameters
    ----------
    pipe : a file descriptor; where it ends, because nobody is left who could write to it, the worker stops as well.
    """
    asyncio.run(_serve(desk, host, port, pipe))


async def _serve(desk: Desk, host: str, port: int, pipe: int | None) -> None:
    server = Server(
        application(desk),
        host,
        port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=4096,
        backpressure=4096,
        log_enabled=False,
    )
    stop: Callable[[], None] = server.stop
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)

    def read(pipe: int) -> None:
        # Whatever comes is for nobody.
        if not os.read(pipe, _READ_SIZE_BYTES):
            loop.remove_reader(pipe)
            stop()

    if pipe is not None:
        loop.add_reader(pipe, read, pipe)
    await server.serve()
