"""What a node says of a block's accesses: access lists, dependencies, and the command that explains them."""

from __future__ import annotations

import orjson
import pytest

from tests.rpc.control_world import OFF, ON, block
from tests.rpc.running_node import Client
from tests.unit.cli.running import run_here

COUNTER = "0x" + "c3" * 20
COUNTER_CODE = "0x5f546001018060005560005260206000f3"
"""Adds one to slot 0, and returns it."""
CALL_COUNT = 3


@pytest.fixture
def counted(client: Client) -> Client:
    """The node's client; in the newest block three accounts called a counter."""
    client.ask("anvil_reset")
    client.ask("anvil_setCode", COUNTER, COUNTER_CODE)
    client.ask("anvil_setAutomine", OFF)
    for account in client.ask("eth_accounts")[:CALL_COUNT]:
        client.ask("eth_sendTransaction", {"from": account, "to": COUNTER, "gas": hex(100_000)})
    client.ask("anvil_mine")
    client.ask("anvil_setAutomine", ON)
    return client


def word(number: int) -> str:
    return f"0x{number:064x}"


def test_block_access_list__of_a_counter__has_every_value(counted: Client) -> None:
    accounts = counted.ask("debug_getBlockAccessList", "latest")
    addresses = [account["address"] for account in accounts]
    assert addresses == sorted(addresses)
    (counter,) = (account for account in accounts if account["address"] == COUNTER)
    changes = [{"index": hex(index), "value": word(index)} for index in range(1, CALL_COUNT + 1)]
    assert counter == {
        "address": COUNTER,
        "storageChanges": [{"key": word(0), "changes": changes}],
        "storageReads": [],
        "balanceChanges": [],
        "nonceChanges": [],
        "codeChanges": [],
    }
    senders = {account.lower() for account in counted.ask("eth_accounts")[:CALL_COUNT]}
    nonces = {account["address"]: account["nonceChanges"] for account in accounts if account["nonceChanges"]}
    assert nonces.keys() == senders
    assert sorted(changes[0]["index"] for changes in nonces.values()) == ["0x1", "0x2", "0x3"]


def test_explained_block__of_a_counter__is_one_chain(counted: Client) -> None:
    found = counted.ask("metis_explainBlock", "latest")
    assert found["transactionCount"] == hex(CALL_COUNT)
    assert found["chain"] == ["0x0", "0x1", "0x2"]
    assert found["chainGas"] == found["gasUsed"] == block(counted)["gasUsed"]
    edges = [(row["transaction"], row["on"], row["address"], row["slot"]) for row in found["dependencies"]]
    assert edges == [("0x1", "0x0", COUNTER, word(0)), ("0x2", "0x1", COUNTER, word(0))]
    assert {row["address"] for row in found["conflicts"]} <= {COUNTER}


def test_explain_command__of_a_node__tells_the_slot(counted: Client, capsys: pytest.CaptureFixture[str]) -> None:
    height = int(counted.ask("eth_blockNumber"), 16)
    block_hash = block(counted)["hash"]
    ended = run_here(capsys, "executor", "explain", str(height), "--rpc", counted.url, "--json")
    assert ended.exit_code == 0
    found = ended.object
    assert (found["transactions"], found["chain"], found["speedup_max"]) == (CALL_COUNT, [0, 1, 2], 1.0)
    (obstacle,) = found["obstacles"]
    assert (obstacle["address"], obstacle["slot"], obstacle["functions"]) == (COUNTER, "0x0", ["payment"])
    by_hash = run_here(capsys, "executor", "explain", block_hash, "--rpc", counted.url, "--json")
    assert orjson.loads(by_hash.out)["chain"] == found["chain"]
    text = run_here(capsys, "executor", "explain", "latest", "--rpc", counted.url)
    assert f"{COUNTER} slot 0x0" in text.out
    assert "What would help\n- Split slot 0x0" in text.out


@pytest.mark.parametrize("method", ["debug_getBlockAccessList", "metis_explainBlock"])
def test_block_record__of_no_block_or_the_first__is_an_error(counted: Client, method: str) -> None:
    assert "not found" in counted.answer(method, "0xffffff")["error"]["message"]
    assert "not found" in counted.answer(method, "0x" + "11" * 32)["error"]["message"]
    assert "genesis" in counted.answer(method, "0x0")["error"]["message"]
