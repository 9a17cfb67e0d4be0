"""Running a worker: granian in this process, so that the key is in one place and the ledger has one writer."""

from __future__ import annotations

import asyncio
import signal

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from metis.ai.worker.desk import Desk
from metis.ai.worker.routes import application

__all__ = ["serve"]


def serve(desk: Desk, host: str, port: int) -> None:
    """Serve a desk until the process is told to stop (SIGINT, SIGTERM)."""
    asyncio.run(_serve(desk, host, port))


async def _serve(desk: Desk, host: str, port: int) -> None:
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
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    await server.serve()
