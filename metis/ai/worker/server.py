"""Running a worker: granian in this process, so that the key is in one place and the ledger has one writer."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from metis.ai.worker.desk import Desk
from metis.ai.worker.routes import application

__all__ = ["serve"]


def serve(desk: Desk, host: str, port: int, watch: Callable[[Callable[[], None]], None] | None = None) -> None:
    """
    Serve a desk until the process is told to stop (SIGINT, SIGTERM).

    Parameters
    ----------
    watch : is given what stops the worker as well, inside the event loop.
    """
    asyncio.run(_serve(desk, host, port, watch))


async def _serve(desk: Desk, host: str, port: int, watch: Callable[[Callable[[], None]], None] | None) -> None:
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
    if watch is not None:
        watch(stop)
    await server.serve()
