"""Commands that end with who started them: who holds the other end of their standard input."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

__all__ = ["call_at_its_end"]

_READ_SIZE_BYTES = 4096


def call_at_its_end(stop: Callable[[], None]) -> None:
    """Call ``stop`` when standard input ends, because nobody is left who could write to it; inside an event loop."""
    loop, pipe = asyncio.get_running_loop(), sys.stdin.fileno()

    def read() -> None:
        # Whatever comes is for nobody.
        if not os.read(pipe, _READ_SIZE_BYTES):
            loop.remove_reader(pipe)
            stop()

    loop.add_reader(pipe, read)
