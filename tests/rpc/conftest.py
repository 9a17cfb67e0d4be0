"""Nodes that tests share; a test that kills or fills one starts its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rpc.anvil import running_anvil
from tests.rpc.control_world import ON
from tests.rpc.running_node import Client, RunningNode, running_node


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    """A node in memory with instant mining, one a module."""
    with running_node() as started:
        yield started


@pytest.fixture
def client(node: RunningNode) -> Iterator[Client]:
    """A connection to it."""
    opened = node.client()
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["metis", "anvil"])
def development_node(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A node of this project, and anvil: what a test says holds for both. One of each a module."""
    if request.param == "anvil":
        with running_anvil() as client:
            yield client
        return
    with running_node("--preset", "ethereum") as node:
        client = node.client()
        yield client
        client.close()


@pytest.fixture
def either(development_node: Client) -> Client:
    """The same at its start: an empty chain, with instant mining."""
    development_node.ask("anvil_reset")
    development_node.ask("anvil_setAutomine", ON)
    return development_node
