"""Blocks whose state is no longer kept: methods that need it answer -32001 and the oldest; an archive answers all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rpc.running_node import HASHES_ONLY, Client, RunningNode, running_node

KEPT = 4
HEIGHT = 20
RECEIVER = "0x" + "77" * 20


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningNode, Client]]:
    """A node that keeps few states, with a transfer in each block."""
    path: Path = tmp_path_factory.mktemp("config") / "node.toml"
    path.write_text(f"[storage]\nkept_block_count = {KEPT}\n", encoding="ascii")
    with running_node("--config", str(path)) as node:
        client = node.client()
        for nonce in range(HEIGHT):
            client.send(node.transfer(0, nonce))
        yield node, client
        client.close()


def questions(block: str, transaction_hash: str) -> list[tuple[str, list[Any]]]:
    call = {"to": RECEIVER, "value": "0x0"}
    return [
        ("eth_getBalance", [RECEIVER, block]),
        ("eth_getTransactionCount", [RECEIVER, block]),
        ("eth_getCode", [RECEIVER, block]),
        ("eth_getStorageAt", [RECEIVER, "0x0", block]),
        ("eth_getProof", [RECEIVER, [], block]),
        ("eth_call", [call, block]),
        ("eth_callMany", [[{"transactions": [call]}], {"blockNumber": block}]),
        ("eth_estimateGas", [call, block]),
        ("eth_createAccessList", [call, block]),
        ("eth_simulateV1", [{"blockStateCalls": [{"calls": [call]}]}, block]),
        ("debug_traceCall", [call, block]),
        ("trace_call", [call, ["trace"], block]),
        ("trace_callMany", [[[call, ["trace"]]], block]),
        ("ots_hasCode", [RECEIVER, block]),
        ("debug_traceBlockByNumber", [block]),
        ("debug_traceTransaction", [transaction_hash]),
        ("debug_accountInfoAt", [block, 0, RECEIVER]),
        ("trace_block", [block]),
        ("trace_transaction", [transaction_hash]),
        ("trace_replayBlockTransactions", [block, ["trace"]]),
        ("ots_traceTransaction", [transaction_hash]),
        ("ots_getInternalOperations", [transaction_hash]),
    ]


def transaction_of(client: Client, number: int) -> str:
    found: str = client.ask("eth_getBlockByNumber", hex(number), HASHES_ONLY)["transactions"][0]
    return found


@pytest.mark.parametrize("number", [1, HEIGHT - KEPT - 1])
def test_questions__about_a_state_that_is_not_kept__are_refused_with_the_oldest(
    pruned: tuple[RunningNode, Client], number: int
) -> None:
    _, client = pruned
    for method, params in questions(hex(number), transaction_of(client, number)):
        error = client.answer(method, *params)["error"]
        assert error["code"] == -32001, (method, error)
        assert str(HEIGHT - KEPT) in error["message"] or str(HEIGHT - KEPT + 1) in error["message"], (method, error)


def test_questions__about_a_state_that_is_kept__are_answered(pruned: tuple[RunningNode, Client]) -> None:
    _, client = pruned
    number = HEIGHT - 1
    for method, params in questions(hex(number), transaction_of(client, number)):
        assert "error" not in client.answer(method, *params), method
    assert int(client.ask("eth_getBalance", RECEIVER, hex(number)), 16) == number


def test_questions__to_an_archive_that_was_started_again__are_answered_at_any_block(tmp_path: Path) -> None:
    options = ("--config", str(tmp_path / "node.toml"), "--data-dir", str(tmp_path / "chain"), "--history", "archive")
    (tmp_path / "node.toml").write_text(f"[storage]\nkept_block_count = {KEPT}\n", encoding="ascii")
    with running_node(*options, "--checkpoint-blocks", "3") as node:
        client = node.client()
        for nonce in range(HEIGHT):
            client.send(node.transfer(0, nonce))
        client.close()
    with running_node(*options) as node:
        client = node.client()
        for number in (1, 7, HEIGHT - KEPT - 1, HEIGHT):
            for method, params in questions(hex(number), transaction_of(client, number)):
                assert "error" not in client.answer(method, *params), (method, number)
            assert int(client.ask("eth_getBalance", RECEIVER, hex(number)), 16) == number
        client.close()


def test_blocks_and_receipts__of_a_state_that_is_not_kept__are_still_here(pruned: tuple[RunningNode, Client]) -> None:
    _, client = pruned
    one = transaction_of(client, 1)
    assert client.ask("eth_getTransactionReceipt", one)["blockNumber"] == "0x1"
    assert client.ask("debug_getRawBlock", "0x1").startswith("0x")


def test_fork__of_a_node_that_pruned_what_is_asked__passes_its_error_on(pruned: tuple[RunningNode, Client]) -> None:
    node, client = pruned
    with running_node("--fork-url", node.http, "--no-fork-cache") as fork:
        forked = fork.client()
        for method, params in (("eth_getBalance", [RECEIVER, "0x1"]), ("trace_block", ["0x1"])):
            theirs = client.answer(method, *params)["error"]
            ours = forked.answer(method, *params)["error"]
            assert (ours["code"], ours["message"]) == (theirs["code"], theirs["message"])
        assert int(forked.ask("eth_getBalance", RECEIVER, "latest"), 16) == HEIGHT
        forked.close()
