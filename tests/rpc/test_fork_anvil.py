"""A fork of anvil, beside anvil's own fork of itself: the same answers, and the same after the same transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from metis.types import Gas, Wei
from tests.rpc import anvil
from tests.rpc.running_node import PROMPT_S, Client, RunningNode, running_node
from tests.rpc.test_fork import DEPLOY, RECEIVER, word

CHAIN_ID = 31_337


@contextmanager
def running_anvil(*options: str) -> Iterator[tuple[str, Client]]:
    """Run anvil with the rules that a node has; gives its URL and a connection."""
    with anvil.running_anvil("--hardfork", "osaka", *options) as client:
        yield client.url, client


def receipt_of(client: Client, transaction_hash: str) -> Any:
    """Wait for a receipt: anvil answers before its block is there."""
    deadline_s = time.monotonic() + PROMPT_S
    while (receipt := client.ask("eth_getTransactionReceipt", transaction_hash)) is None:
        assert time.monotonic() < deadline_s, "no receipt"
        time.sleep(0.01)
    return receipt


def signed(node: RunningNode, nonce: int, to: str | None, data: bytes = b"", value: int = 0) -> bytes:
    receiver: Any = None if to is None else bytes.fromhex(to[2:])
    return node.transfer(0, nonce, to=receiver, data=data, gas_limit=Gas(200_000), value_wei=Wei(value))


def test_fork_of_anvil__beside_a_fork_by_anvil__answers_the_same() -> None:
    with running_anvil() as (url, upstream), running_node("--chain-id", str(CHAIN_ID)) as signer:
        counter = receipt_of(upstream, upstream.send(signed(signer, 0, None, DEPLOY)))["contractAddress"]
        sent = upstream.send(signed(signer, 1, counter, word(40)))
        for transaction_hash in (sent, upstream.send(signed(signer, 2, RECEIVER, value=5))):
            receipt_of(upstream, transaction_hash)
        number = int(upstream.ask("eth_blockNumber"), 16)
        begin = ("--fork-url", url, "--fork-block-number", str(number))
        with (
            running_anvil(*begin, "--no-storage-caching") as (_, rival),
            running_node(*begin, "--no-fork-cache") as fork,
        ):
            client = fork.client()
            assert (fork.chain_id, fork.started["fork"]) == (CHAIN_ID, "Osaka")
            call = {"to": counter, "data": f"0x{word(2).hex()}", "from": RECEIVER}
            for method, params in (
                ("eth_chainId", []),
                ("eth_blockNumber", []),
                ("eth_getBalance", [RECEIVER, "latest"]),
                ("eth_getBalance", [RECEIVER, "0x1"]),
                ("eth_getCode", [counter, "latest"]),
                ("eth_getStorageAt", [counter, "0x1", "latest"]),
                ("eth_getTransactionCount", [f"0x{fork.addresses[0].hex()}", "latest"]),
                ("eth_call", [call, "latest"]),
                ("eth_getBlockByNumber", ["0x1", False]),
                ("eth_getTransactionReceipt", [sent]),
                ("eth_getTransactionByHash", [sent]),
                ("eth_getLogs", [{"fromBlock": "0x0", "toBlock": hex(number), "address": counter}]),
            ):
                assert client.ask(method, *params) == rival.ask(method, *params), (method, params)
            for nonce, (to, data) in enumerate([(counter, word(5)), (RECEIVER, b""), (counter, word(6))], 3):
                raw = signed(fork, nonce, to, data)
                ours, theirs = (receipt_of(node, node.send(raw)) for node in (client, rival))
                for field in ("status", "gasUsed", "blockNumber", "effectiveGasPrice", "from", "to"):
                    assert ours[field] == theirs[field], field
                assert [entry["data"] for entry in ours["logs"]] == [entry["data"] for entry in theirs["logs"]]
            assert int(client.ask("eth_getStorageAt", counter, "0x1", "latest"), 16) == 51
            wish = {"fromBlock": "0x0", "address": counter}
            logs = [[entry["data"] for entry in node.ask("eth_getLogs", wish)] for node in (client, rival)]
            assert logs[0] == logs[1]
            assert len(logs[0]) == 3
            sender = f"0x{fork.addresses[0].hex()}"
            balances = [node.ask("eth_getBalance", sender, "latest") for node in (client, rival)]
            assert balances[0] == balances[1]
            client.close()
