"""Nodes that tests share; a test that kills or fills one starts its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
