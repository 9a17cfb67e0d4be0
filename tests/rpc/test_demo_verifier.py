"""The demonstration's second node: what it says of an honest node, and of one that changed a byte."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from metis.cli.demo.results import Verdict
from metis.cli.demo.verifier import Verifier
from metis.cli.node_client import NodeClient
from metis.node.config import NodeConfig
from tests.rpc.running_node import RunningNode, running_node

BLOCK_COUNT = 4


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    """A node with a few blocks of one transaction each."""
    with running_node() as node, contextlib.closing(node.client()) as client:
        for nonce in range(BLOCK_COUNT):
            client.ask("eth_sendRawTransaction", f"0x{node.transfer(0, nonce).hex()}")
        yield node


class _Liar(NodeClient):
    """A node whose answers to one method, about one block, are bent."""

    def __init__(self, url: str, method: str, bend: Callable[[str], str], number: int = BLOCK_COUNT // 2) -> None:
        super().__init__(url)
        self._method, self._bend, self._number = method, bend, number

    def ask(self, method: str, *parameters: Any) -> Any:
        answer = super().ask(method, *parameters)
        if method != self._method or parameters[0] != hex(self._number):
            return answer
        return self._bend(answer) if isinstance(answer, str) else [self._bend(one) for one in answer]


def _verdict(client: NodeClient) -> Verdict:
    with client:
        return Verifier(NodeConfig()).verify(client, lambda _: None)


def _with_byte_changed(place: int) -> Callable[[str], str]:
    def bend(text: str) -> str:
        content = bytearray.fromhex(text[2:])
        content[place % len(content)] ^= 1
        return f"0x{content.hex()}"

    return bend


def test_verifier__of_an_honest_node__agrees_with_every_block(node: RunningNode) -> None:
    verdict = _verdict(NodeClient(node.http))
    assert (verdict.blocks, verdict.transactions, verdict.mismatches) == (BLOCK_COUNT, BLOCK_COUNT, 0)
    assert verdict.refused["block"]


@pytest.mark.parametrize("place", [*range(0, 700, 23), -1])
def test_verifier__one_byte_of_a_block_changed__does_not_agree(node: RunningNode, place: int) -> None:
    verdict = _verdict(_Liar(node.http, "debug_getRawBlock", _with_byte_changed(place)))
    assert verdict.mismatches > 0


@pytest.mark.parametrize("place", range(0, 700, 41))
def test_verifier__one_byte_of_the_newest_block_changed__does_not_agree(node: RunningNode, place: int) -> None:
    verdict = _verdict(_Liar(node.http, "debug_getRawBlock", _with_byte_changed(place), BLOCK_COUNT))
    assert verdict.mismatches > 0


@pytest.mark.parametrize("place", [0, 5, 40, 150, 280, -1])
def test_verifier__one_byte_of_a_receipt_changed__does_not_agree(node: RunningNode, place: int) -> None:
    verdict = _verdict(_Liar(node.http, "debug_getRawReceipts", _with_byte_changed(place)))
    assert verdict.mismatches == 1
