"""
anvil, the oracle of the control methods: the same calls, the same answers.

It is in the environment of the JavaScript clients: ``python -m tests.rpc.clients.install javascript``.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rpc.clients.environments import ENVIRONMENTS, MissingProgram
from tests.rpc.running_node import PROMPT_S, Client


def anvil_path() -> Path:
    """Where the binary is; skips the test where it is not."""
    try:
        return ENVIRONMENTS["javascript"].program("anvil")
    except MissingProgram as problem:
        pytest.skip(f"{problem}: python -m tests.rpc.clients.install javascript")


@contextmanager
def running_anvil(*options: str) -> Iterator[Client]:
    """Run anvil for the length of a block, with a connection to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([str(anvil_path()), "--silent", "--port", str(port), *options])
    client = Client("127.0.0.1", port)
    try:
        deadline_s = time.monotonic() + PROMPT_S
        while True:
            try:
                client.ask("eth_chainId")
                break
            except (ConnectionError, http.client.HTTPException):
                client.close()
                assert time.monotonic() < deadline_s, "anvil does not answer"
                client = Client("127.0.0.1", port)
                time.sleep(0.01)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(PROMPT_S)
