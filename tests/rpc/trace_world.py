"""A chain in which much happens inside transactions, for the tests of traces: one node, one block of everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.rpc.control_world import OFF, ON
from tests.rpc.running_node import Client, RunningNode

__all__ = ["TraceWorld", "frames"]

RELAY = "5f5f5f5f345f355af15f5260205ff3"
"""Calls the account of the calldata with the value it got; returns whether that succeeded."""
REVERTER = "7f" + "ab" * 32 + "5f5260205ffd"
"""Reverts with a word."""
CREATOR = "6760fe5f5360015ff35f526008601834f05f5260205ff3"
"""Creates a contract of one byte with the value it got; returns its address."""
DESTROYER = "5f35ff"
"""Destroys itself in favour of the account of the calldata."""
RECEIVER = "0x" + "77" * 20

Json = dict[str, Any]


def word(address: str) -> str:
    return address[2:].rjust(64, "0")


class TraceWorld:
    """
    The chain.

    Attributes
    ----------
    block : height of the block of everything. hashes : its transactions. child : what the creator created.
    """

    def __init__(self, node: RunningNode) -> None:
        self.client: Client = node.client()
        ask = self.client.ask
        self.accounts: list[str] = ask("eth_accounts")
        self.relay, self.reverter, self.creator, self.destroyer = (
            self._deploy(code) for code in (RELAY, REVERTER, CREATOR, DESTROYER)
        )
        ask("anvil_setAutomine", OFF)
        sent = [
            {"to": self.relay, "input": "0x" + word(RECEIVER), "value": "0x5"},
            {"to": self.relay, "input": "0x" + word(self.reverter), "value": "0x6"},
            {"to": self.relay, "input": "0x" + word(self.relay) + word(self.creator)},
            {"to": self.creator, "value": "0x7"},
            {"to": self.destroyer, "input": "0x" + word(RECEIVER), "value": "0x8"},
            {"to": RECEIVER, "value": "0x9"},
            {"to": self.reverter},
            {"input": "0x60015ff3"},
        ]
        for nonce, fields in enumerate(sent, start=4):
            ask("eth_sendTransaction", {"from": self.accounts[0], "nonce": hex(nonce), "gas": "0x493e0", **fields})
        ask("anvil_mine")
        ask("anvil_setAutomine", ON)
        self.block = int(ask("eth_blockNumber"), 16)
        self.hashes: list[str] = ask("eth_getBlockByNumber", hex(self.block), OFF)["transactions"]
        assert len(self.hashes) == len(sent)
        self.child = "0x" + ask("debug_traceTransaction", self.hashes[3], {"tracer": "callTracer"})["output"][-40:]
        self.send({"to": self.child, "value": "0x0"})

    def send(self, fields: Json) -> Json:
        """Send in the first account's name; returns the receipt."""
        sent = self.client.ask("eth_sendTransaction", {"from": self.accounts[0], "gas": "0x493e0", **fields})
        receipt: Json = self.client.ask("eth_getTransactionReceipt", sent)
        return receipt

    def _deploy(self, code: str) -> str:
        size = f"{len(code) // 2:02x}"
        created: str = self.send({"input": f"0x60{size}600a5f3960{size}5ff3{code}"})["contractAddress"]
        return created

    @property
    def heights(self) -> list[str]:
        """Every block with transactions."""
        return [hex(number) for number in range(1, self.block + 2)]


def frames(root: Json, path: tuple[int, ...] = ()) -> Iterator[tuple[list[int], Json]]:
    """Every frame of a callTracer's tree with its position, callers before callees."""
    yield list(path), root
    for index, call in enumerate(root.get("calls", ())):
        yield from frames(call, (*path, index))
