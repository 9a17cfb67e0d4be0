"""Transactions that come together in a batch are taken together, each with its own answer."""

from __future__ import annotations

import json
from typing import Any

from tests.rpc.running_node import Client, RunningNode


def send_all(client: Client, raw: list[str]) -> list[dict[str, Any]]:
    """Send a batch of eth_sendRawTransaction; the answers in the order of the ids."""
    batch = [
        {"jsonrpc": "2.0", "id": number, "method": "eth_sendRawTransaction", "params": [one]}
        for number, one in enumerate(raw)
    ]
    status, body = client.post(json.dumps(batch).encode())
    assert status == 200
    answers: list[dict[str, Any]] = json.loads(body)
    assert [answer["id"] for answer in answers] == list(range(len(raw)))
    return answers


def test_batch__good_and_bad_transactions__each_has_its_own_answer(node: RunningNode, client: Client) -> None:
    good = [f"0x{node.transfer(1, nonce).hex()}" for nonce in range(5)]
    wrong_chain = f"0x{node.transfer(2, 0, chain_id=1).hex()}"
    answers = send_all(client, [good[0], "0x02c0", good[1], wrong_chain, "no hex", *good[2:], good[4]])
    results = ["result" if "result" in answer else answer["error"]["code"] for answer in answers]
    assert results[0] == results[2] == results[5] == results[6] == results[7] == "result"
    assert results[4] == -32602
    assert all(isinstance(results[position], int) for position in (1, 3, 8))
    hashes = [answer["result"] for answer in answers if "result" in answer]
    receipts = [client.ask("eth_getTransactionReceipt", one) for one in hashes]
    assert all(receipt["status"] == "0x1" for receipt in receipts)


def test_batch__sends_between_other_calls__are_answered_in_order(node: RunningNode, client: Client) -> None:
    sender = f"0x{node.addresses[3].hex()}"
    count: dict[str, Any] = {"jsonrpc": "2.0", "method": "eth_getTransactionCount", "params": [sender, "latest"]}
    send: dict[str, Any] = {"jsonrpc": "2.0", "method": "eth_sendRawTransaction"}
    calls = [
        count,
        send | {"params": [f"0x{node.transfer(3, 0).hex()}"]},
        send | {"params": [f"0x{node.transfer(3, 1).hex()}"]},
        count,
    ]
    batch = [call | {"id": number} for number, call in enumerate(calls)]
    answers = json.loads(client.post(json.dumps(batch).encode())[1])
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3]
    assert (answers[0]["result"], answers[3]["result"]) == ("0x0", "0x2")
