"""Going back: snapshots, rollbacks, reorganisations, resets; anvil is asked the same where it does the same."""

from __future__ import annotations

import pytest

from tests.rpc.control_world import COIN, FIRST, OFF, SECOND, STRANGER, balance, block, height, queue, send
from tests.rpc.running_node import Client, RunningNode, running_node

STATES_KEPT = 1_024
"""What a node keeps by default."""


@pytest.mark.parametrize("prefix", ["anvil", "evm"])
def test_revert__to_a_snapshot__takes_back_blocks_and_patches(either: Client, prefix: str) -> None:
    either.ask("anvil_setBalance", STRANGER, "0x1")
    snapshot = either.ask(f"{prefix}_snapshot")
    send(either)
    either.ask("anvil_setBalance", STRANGER, "0x63")
    assert either.ask(f"{prefix}_revert", snapshot) is True
    assert (height(either), balance(either)) == (0, 1)


def test_revert__to_an_outer_snapshot__uses_up_the_inner_ones(client: Client) -> None:
    client.ask("anvil_reset")
    client.ask("anvil_mine")
    outer = client.ask("evm_snapshot")
    client.ask("anvil_mine")
    inner = client.ask("evm_snapshot")
    client.ask("anvil_mine")
    assert client.ask("evm_revert", outer) is True
    assert height(client) == 1
    assert client.ask("evm_revert", inner) is False
    assert client.ask("evm_revert", outer) is False


def test_revert__to_an_inner_snapshot__leaves_the_outer_one(either: Client) -> None:
    outer = either.ask("evm_snapshot")
    either.ask("anvil_mine")
    inner = either.ask("evm_snapshot")
    either.ask("anvil_mine")
    assert either.ask("evm_revert", inner) is True
    assert height(either) == 1
    assert either.ask("evm_revert", outer) is True
    assert height(either) == 0


def test_revert__to_what_is_no_snapshot__is_false(either: Client) -> None:
    assert either.ask("evm_revert", "0xffff") is False


def test_revert__then_the_same_transaction__is_mined_again(either: Client) -> None:
    snapshot = either.ask("evm_snapshot")
    first = send(either)
    assert either.ask("evm_revert", snapshot) is True
    assert either.ask("eth_getTransactionReceipt", first["transactionHash"]) is None
    assert send(either)["blockNumber"] == first["blockNumber"]


def test_rollback__of_blocks__takes_their_transactions_with_them(either: Client) -> None:
    send(either)
    sent = send(either)["transactionHash"]
    assert either.ask("anvil_rollback", 1) is None
    assert height(either) == 1
    assert either.ask("eth_getTransactionReceipt", sent) is None
    assert either.ask("txpool_status") == {"pending": "0x0", "queued": "0x0"}


def test_rollback__of_one_block__keeps_what_was_patched_before_it(either: Client) -> None:
    either.ask("anvil_mine")
    either.ask("anvil_setBalance", STRANGER, "0x7")
    either.ask("anvil_mine")
    either.ask("anvil_rollback", 1)
    assert (height(either), balance(either)) == (1, 7)


@pytest.mark.parametrize("method", ["anvil_rollback", "anvil_reorg"])
def test_going_back__beyond_the_first_block__is_refused(either: Client, method: str) -> None:
    params = [5, []] if method == "anvil_reorg" else [5]
    answer = either.answer(method, *params)
    assert answer["error"]["code"] == -32602
    assert "depth must not exceed current chain height" in answer["error"]["message"]


def test_reorg__of_two_blocks__has_as_many_others_with_the_transactions_given(either: Client) -> None:
    either.ask("anvil_mine", 3)
    before = [block(either, index)["hash"] for index in range(4)]
    pairs = [[{"from": FIRST, "to": STRANGER, "value": "0x5"}, 1]]
    assert either.ask("anvil_reorg", 2, pairs) is None
    after = [block(either, index)["hash"] for index in range(4)]
    assert after[:2] == before[:2]
    assert set(after[2:]).isdisjoint(before)
    assert len(block(either, 3)["transactions"]) == 1
    assert balance(either) == 5


def test_reorg__with_a_signed_transaction__puts_it_where_it_is_asked(node: RunningNode) -> None:
    client = node.client()
    client.ask("anvil_reset")
    client.ask("anvil_mine", 2)
    raw = node.transfer(0, 0)
    client.ask("anvil_reorg", 2, [[f"0x{raw.hex()}", 0]])
    assert len(block(client, 1)["transactions"]) == 1
    client.close()


def test_reorg__with_a_transaction_that_may_not_be__leaves_the_chain(node: RunningNode) -> None:
    client = node.client()
    client.ask("anvil_reset")
    client.ask("anvil_mine", 2)
    before = block(client)["hash"]
    wrong_nonce = node.transfer(0, 9)
    assert "error" in client.answer("anvil_reorg", 1, [[f"0x{wrong_nonce.hex()}", 0]])
    assert block(client)["hash"] == before
    client.close()


def test_reset__of_a_chain__is_its_start(either: Client) -> None:
    genesis = block(either, 0)["hash"]
    before = balance(either, SECOND)
    send(either, to=SECOND, value=hex(COIN))
    either.ask("anvil_setBalance", STRANGER, "0x63")
    assert either.ask("hardhat_reset") is None
    assert (height(either), balance(either), balance(either, SECOND)) == (0, 0, before)
    assert block(either, 0)["stateRoot"] is not None
    assert block(either, "latest")["number"] == "0x0"
    assert genesis.startswith("0x")


def test_reset__to_a_fork__is_refused_without_one(either: Client) -> None:
    answer = either.answer("anvil_reset", {"forking": {"blockNumber": 1}})
    assert "error" in answer


def test_drop__of_a_waiting_transaction__answers_its_hash_once(either: Client) -> None:
    either.ask("anvil_setAutomine", OFF)
    sent = queue(either)
    assert either.ask("anvil_dropTransaction", sent) == sent
    assert either.ask("hardhat_dropTransaction", sent) is None
    assert either.ask("txpool_status")["pending"] == "0x0"


def test_drop__of_a_sender__leaves_the_others(either: Client) -> None:
    either.ask("anvil_setAutomine", OFF)
    queue(either, FIRST)
    queue(either, FIRST)
    kept = queue(either, SECOND)
    assert either.ask("anvil_removePoolTransactions", FIRST) is None
    either.ask("evm_mine")
    assert block(either)["transactions"] == [kept]


def test_drop__of_all__empties_the_pool(either: Client) -> None:
    either.ask("anvil_setAutomine", OFF)
    queue(either)
    assert either.ask("anvil_dropAllTransactions") is None
    assert either.ask("txpool_status") == {"pending": "0x0", "queued": "0x0"}


def test_node_info__and_metadata__have_the_fields_of_anvil(either: Client) -> None:
    info = either.ask("anvil_nodeInfo")
    assert set(info) >= {
        "currentBlockNumber",
        "currentBlockTimestamp",
        "currentBlockHash",
        "hardFork",
        "transactionOrder",
        "environment",
        "forkConfig",
    }
    assert set(info["environment"]) == {"baseFee", "chainId", "gasLimit", "gasPrice"}
    assert info["environment"]["chainId"] == int(either.ask("eth_chainId"), 16)
    metadata = either.ask("anvil_metadata")
    assert (metadata["latestBlockNumber"], metadata["latestBlockHash"]) == (0, block(either)["hash"])
    assert isinstance(either.ask("anvil_getGenesisTime"), int)


def test_revert__beyond_the_states_that_are_kept__has_them_all_again(node: RunningNode) -> None:
    client = node.client()
    client.ask("anvil_reset")
    client.ask("anvil_setBalance", STRANGER, "0x7")
    client.ask("anvil_mine", 3)
    snapshot = client.ask("evm_snapshot")
    client.ask("anvil_mine", STATES_KEPT + 100)
    assert client.ask("evm_revert", snapshot) is True
    assert [balance(client, block=hex(index)) for index in range(4)] == [7, 7, 7, 7]
    client.close()


def test_revert__after_a_rollback_below_it__brings_the_blocks_back(node: RunningNode) -> None:
    client = node.client()
    client.ask("anvil_reset")
    client.ask("anvil_mine", 4)
    before = block(client)["hash"]
    snapshot = client.ask("evm_snapshot")
    client.ask("anvil_rollback", 3)
    client.ask("anvil_mine", 400)
    assert client.ask("evm_revert", snapshot) is True
    assert block(client)["hash"] == before
    client.close()


def test_control__turned_off__serves_none_of_its_methods() -> None:
    with running_node("--no-control") as node:
        client = node.client()
        answer = client.answer("anvil_setBalance", STRANGER, "0x1")
        assert answer["error"]["code"] == -32601
        assert not [name for name in client.ask("rpc_modules") if name in ("anvil", "evm", "hardhat", "tenderly")]
        client.close()
