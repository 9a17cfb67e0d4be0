"""A server that many tests may share, because they leave nothing behind in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.rpc.running_server import RunningServer, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """A server with default limits on a free port."""
    with running_server() as running:
        yield running


@pytest.fixture(scope="module")
def address(server: RunningServer) -> tuple[str, int]:
    """Where the shared server listens."""
    return server.address
