"""A revert gives back exactly what could be observed when the snapshot was taken, whatever happened since."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rpc.control_world import COIN, FIRST, OFF, ON, SECOND, STRANGER, balance, block, height, queue, send
from tests.rpc.running_node import Client, RunningNode, running_node

CONTRACT = "0x" + "c0" * 20
ACCOUNTS = (FIRST, SECOND, STRANGER, CONTRACT)
STEP_COUNT = 25


def observed(client: Client) -> dict[str, Any]:
    """Everything that a client can see, but the time of day."""
    head = height(client)
    return {
        "blocks": [block(client, index) for index in range(head + 1)],
        "accounts": [
            [client.ask(method, account, hex(number)) for number in range(head + 1)]
            for account in ACCOUNTS
            for method in ("eth_getBalance", "eth_getTransactionCount", "eth_getCode")
        ],
        "slots": [client.ask("eth_getStorageAt", CONTRACT, hex(slot), "latest") for slot in range(4)],
        "pool": client.ask("txpool_content"),
        "pending": [client.ask("eth_getTransactionCount", account, "pending") for account in ACCOUNTS],
        "node": client.ask("anvil_nodeInfo"),
        "mining": [client.ask("anvil_getAutomine"), client.ask("anvil_getIntervalMining")],
        "names": [client.ask("eth_coinbase"), client.ask("eth_chainId"), client.ask("eth_gasPrice")],
        "offset": client.ask("evm_increaseTime", 0),
        "logs": client.ask("eth_getLogs", {"fromBlock": "0x0"}),
        "impersonates": "error"
        in client.answer("eth_sendTransaction", {"from": CONTRACT, "to": FIRST, "nonce": "0x0", "gas": "0x1"}),
    }


def steps(chance: random.Random) -> list[Callable[[Client], Any]]:
    """Every kind of change; each with a value of its own."""
    wei = hex(chance.randrange(10**20))
    account = chance.choice(ACCOUNTS)
    word = f"0x{chance.randrange(2**256):064x}"
    return [
        lambda client: client.ask("anvil_setBalance", account, hex(COIN + int(wei, 16))),
        lambda client: client.ask("anvil_setCode", CONTRACT, "0x6001600101"),
        lambda client: client.ask("anvil_setStorageAt", CONTRACT, hex(chance.randrange(4)), word),
        lambda client: client.ask("anvil_setNonce", CONTRACT, hex(chance.randrange(1_000))),
        lambda client: client.ask("anvil_mine", chance.randrange(1, 4)),
        lambda client: client.ask("anvil_mine", 2, chance.randrange(1, 100)),
        lambda client: client.ask("evm_increaseTime", chance.randrange(1_000)),
        lambda client: client.ask("anvil_setBlockTimestampInterval", chance.randrange(1, 9)),
        lambda client: client.ask("anvil_removeBlockTimestampInterval"),
        lambda client: client.ask("evm_setNextBlockTimestamp", int(block(client)["timestamp"], 16) + 50),
        lambda client: client.ask("anvil_setNextBlockBaseFeePerGas", hex(chance.randrange(10**9))),
        lambda client: client.ask("evm_setBlockGasLimit", hex(chance.randrange(30_000_000, 60_000_000))),
        lambda client: client.ask("anvil_setCoinbase", account),
        lambda client: client.ask("evm_setAutomine", chance.random() < 0.5),
        lambda client: client.ask("anvil_setIntervalMining", 3_600),
        lambda client: client.ask("anvil_impersonateAccount", CONTRACT),
        lambda client: client.ask("anvil_autoImpersonateAccount", chance.random() < 0.5),
        lambda client: client.answer("eth_sendTransaction", {"from": FIRST, "to": STRANGER, "value": wei}),
        lambda client: client.answer("eth_sendTransaction", {"from": SECOND, "to": STRANGER, "value": "0x1"}),
        lambda client: client.ask("anvil_removePoolTransactions", FIRST),
        lambda client: client.ask("anvil_dropAllTransactions"),
        lambda client: client.answer("anvil_rollback", chance.randrange(1, 4)),
        lambda client: client.answer("anvil_reorg", chance.randrange(1, 4), []),
        lambda client: client.ask("anvil_setChainId", chance.randrange(1, 10_000)),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_revert__after_anything__gives_exactly_what_was_observed(client: Client, seed: int) -> None:
    chance = random.Random(seed)
    client.ask("anvil_reset")
    for _ in range(STEP_COUNT // 2):
        chance.choice(steps(chance))(client)
    outer, at_outer = client.ask("evm_snapshot"), observed(client)
    for _ in range(STEP_COUNT):
        chance.choice(steps(chance))(client)
    inner, at_inner = client.ask("evm_snapshot"), observed(client)
    for _ in range(STEP_COUNT):
        chance.choice(steps(chance))(client)
    assert client.ask("evm_revert", inner) is True
    assert observed(client) == at_inner
    for _ in range(STEP_COUNT):
        chance.choice(steps(chance))(client)
    assert client.ask("evm_revert", outer) is True
    assert observed(client) == at_outer
    # And it still works.
    client.ask("evm_setAutomine", ON)
    assert send(client, SECOND)["status"] == "0x1"


def test_changes__without_blocks_and_going_back__survive_a_restart(tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path / "chain"))
    with running_node(*folder) as node:
        client = node.client()
        client.ask("anvil_mine", 2_000)
        client.ask("anvil_setBalance", STRANGER, "0x63")
        snapshot = client.ask("evm_snapshot")
        client.ask("anvil_setBalance", STRANGER, "0x64")
        send(client)
        client.ask("evm_revert", snapshot)
        client.ask("anvil_mine", 3)
        client.ask("anvil_rollback", 1)
        client.ask("anvil_setCode", CONTRACT, "0x6001")
        expected = [block(client), balance(client), client.ask("eth_getCode", CONTRACT, "latest")]
        client.close()
    with running_node(*folder) as node:
        client = node.client()
        assert [block(client), balance(client), client.ask("eth_getCode", CONTRACT, "latest")] == expected
        assert height(client) == 2_002
        assert send(client)["status"] == "0x1"
        client.close()


def test_impersonated_transactions__and_their_senders__survive_a_restart(tmp_path: Path) -> None:
    folder = ("--data-dir", str(tmp_path / "chain"))
    with running_node(*folder, "--auto-impersonate") as node:
        client = node.client()
        client.ask("anvil_setBalance", STRANGER, hex(COIN))
        receipt = send(client, STRANGER, to=SECOND)
        client.close()
    with running_node(*folder) as node:
        client = node.client()
        assert client.ask("eth_getTransactionReceipt", receipt["transactionHash"]) == receipt
        client.close()


def test_pool__at_a_revert__has_what_waited_at_the_snapshot(node: RunningNode) -> None:
    client = node.client()
    client.ask("anvil_reset")
    client.ask("evm_setAutomine", OFF)
    waiting = queue(client)
    snapshot = client.ask("evm_snapshot")
    queue(client)
    client.ask("evm_mine")
    assert client.ask("txpool_status")["pending"] == "0x0"
    client.ask("evm_revert", snapshot)
    assert client.ask("txpool_status")["pending"] == "0x1"
    client.ask("evm_mine")
    assert block(client)["transactions"] == [waiting]
    client.ask("evm_setAutomine", ON)
    client.close()
