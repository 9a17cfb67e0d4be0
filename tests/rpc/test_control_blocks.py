"""When blocks are built, at what time, with which header; anvil is asked the same."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.rpc.control_world import FIRST, OFF, ON, SECOND, block, height, number, queue, send, timestamp
from tests.rpc.running_node import Client, RunningNode

FAR_S = 4_000_000_000


@pytest.mark.parametrize(
    ("method", "params", "count"),
    [
        ("anvil_mine", [], 1),
        ("anvil_mine", [3], 3),
        ("anvil_mine", ["0x3"], 3),
        ("hardhat_mine", ["0x100", "0x3c"], 256),
        ("anvil_mine", [0], 0),
        ("evm_mine", [], 1),
    ],
)
def test_mine__so_many__adds_so_many_blocks(either: Client, method: str, params: list[Any], count: int) -> None:
    result = either.ask(method, *params)
    assert result == ("0x0" if method == "evm_mine" else None)
    assert height(either) == count


def test_mine__with_an_interval__has_timestamps_so_far_apart(either: Client) -> None:
    either.ask("anvil_mine", 4, 100)
    seconds = [timestamp(either, index) for index in range(1, 5)]
    # anvil reads the clock again before each block.
    assert all(later - earlier in (100, 101) for earlier, later in itertools.pairwise(seconds))


@pytest.mark.parametrize("form", [FAR_S, hex(FAR_S), {"timestamp": FAR_S}, {"timestamp": hex(FAR_S)}])
def test_evm_mine__with_a_timestamp__has_it(either: Client, form: Any) -> None:
    assert either.ask("evm_mine", form) == "0x0"
    assert timestamp(either) == FAR_S


def test_evm_mine__with_an_old_timestamp__is_refused(either: Client) -> None:
    answer = either.answer("evm_mine", 1)
    assert "is lower than previous block's timestamp" in answer["error"]["message"]
    assert height(either) == 0


def test_mine_detailed__of_a_waiting_transaction__answers_the_whole_block(either: Client) -> None:
    either.ask("anvil_setAutomine", OFF)
    sent = queue(either)
    (mined,) = either.ask("evm_mine_detailed")
    assert mined["number"] == "0x1"
    assert [transaction["hash"] for transaction in mined["transactions"]] == [sent]


@pytest.mark.parametrize("prefix", ["anvil", "evm"])
def test_next_timestamp__once_chosen__is_used_by_one_block_and_time_goes_on_from_it(
    either: Client, prefix: str
) -> None:
    assert either.ask(f"{prefix}_setNextBlockTimestamp", FAR_S) is None
    either.ask("evm_mine")
    assert timestamp(either) == FAR_S
    either.ask("evm_mine")
    assert 0 <= timestamp(either) - FAR_S <= 30


def test_next_timestamp__before_the_head__is_refused(either: Client) -> None:
    answer = either.answer("evm_setNextBlockTimestamp", "0x10")
    assert "is lower than previous block's timestamp" in answer["error"]["message"]


@pytest.mark.parametrize("form", [1_000, "0x3e8", "1000"])
def test_increase_time__by_seconds__moves_the_next_block(either: Client, form: Any) -> None:
    either.ask("evm_mine")
    before = timestamp(either)
    offset = either.ask("evm_increaseTime", 0)
    assert either.ask("evm_increaseTime", form) == offset + 1_000
    either.ask("evm_mine")
    assert 1_000 <= timestamp(either) - before <= 1_030


def test_set_time__to_a_time__moves_the_next_block_there(either: Client) -> None:
    assert either.ask("evm_setTime", FAR_S) > 0
    assert either.ask("anvil_setTime", FAR_S) == 0
    either.ask("evm_mine")
    assert 0 <= timestamp(either) - FAR_S <= 30


def test_timestamp_interval__while_set__is_between_blocks(either: Client) -> None:
    either.ask("evm_mine")
    assert either.ask("anvil_setBlockTimestampInterval", 7) is None
    either.ask("anvil_mine", 3)
    seconds = [timestamp(either, index) for index in range(1, 5)]
    assert [later - earlier for earlier, later in itertools.pairwise(seconds)] == [7, 7, 7]
    assert either.ask("anvil_removeBlockTimestampInterval") is True
    assert either.ask("anvil_removeBlockTimestampInterval") is False


def test_automine__turned_off__leaves_transactions_waiting_for_one_block(either: Client) -> None:
    assert either.ask("anvil_getAutomine") is True
    assert either.ask("evm_setAutomine", OFF) is None
    assert either.ask("hardhat_getAutomine") is False
    sent = [queue(either), queue(either)]
    assert (height(either), either.ask("txpool_status")["pending"]) == (0, "0x2")
    either.ask("evm_mine")
    assert block(either)["transactions"] == sent


def test_automine__turned_on_again__takes_what_waits(either: Client) -> None:
    either.ask("evm_setAutomine", OFF)
    waiting = queue(either)
    either.ask("evm_setAutomine", ON)
    sent = send(either)["transactionHash"]
    mined = [found for index in range(1, height(either) + 1) for found in block(either, index)["transactions"]]
    assert mined == [waiting, sent]


def test_interval_mining__set_and_read__says_its_seconds(either: Client) -> None:
    assert either.ask("anvil_getIntervalMining") is None
    assert either.ask("evm_setIntervalMining", 3_600) is None
    assert either.ask("anvil_getIntervalMining") == 3_600
    assert either.ask("anvil_getAutomine") is False
    assert either.ask("anvil_setIntervalMining", 0) is None
    assert either.ask("anvil_getIntervalMining") is None
    assert either.ask("anvil_getAutomine") is False


def test_coinbase__once_set__gets_the_tips(either: Client) -> None:
    collector = "0x" + "cb" * 20
    assert either.ask("hardhat_setCoinbase", collector) is None
    assert either.ask("eth_coinbase") == collector
    receipt = send(either, maxPriorityFeePerGas="0x3b9aca00")
    assert block(either)["miner"] == collector
    assert number(either, "eth_getBalance", collector, "latest") == int(receipt["gasUsed"], 16) * 10**9


@pytest.mark.parametrize("prefix", ["anvil", "hardhat"])
def test_next_base_fee__once_set__is_of_one_block_and_the_next_follows_from_it(either: Client, prefix: str) -> None:
    assert either.ask(f"{prefix}_setNextBlockBaseFeePerGas", "0x64") is None
    either.ask("anvil_mine", 2)
    # An eighth less after an empty block (EIP-1559).
    assert [block(either, index)["baseFeePerGas"] for index in (1, 2)] == [hex(100), hex(88)]


def test_next_base_fee__of_zero__lets_a_free_transaction_in(either: Client) -> None:
    either.ask("anvil_setNextBlockBaseFeePerGas", "0x0")
    assert send(either, gasPrice="0x0")["effectiveGasPrice"] == "0x0"


@pytest.mark.parametrize("prefix", ["anvil", "evm"])
def test_gas_limit__once_set__is_of_every_block(either: Client, prefix: str) -> None:
    assert either.ask(f"{prefix}_setBlockGasLimit", hex(90_000_000)) is True
    either.ask("anvil_mine", 2)
    assert [block(either, index)["gasLimit"] for index in (1, 2)] == [hex(90_000_000)] * 2


def test_min_gas_price__with_a_base_fee__is_refused(either: Client) -> None:
    answer = either.answer("anvil_setMinGasPrice", "0x1")
    assert answer["error"]["code"] == -32602


def test_chain_id__once_set__is_what_the_node_says(either: Client) -> None:
    before = number(either, "eth_chainId")
    assert either.ask("anvil_setChainId", 4_242) is None
    assert (either.ask("eth_chainId"), either.ask("net_version")) == (hex(4_242), "4242")
    either.ask("anvil_setChainId", before)


def test_chain_id__once_set__is_what_transactions_must_name(node: RunningNode, client: Client) -> None:
    snapshot = client.ask("evm_snapshot")
    client.ask("anvil_setChainId", 4_242)
    sent = send(client)["transactionHash"]
    assert client.ask("eth_getTransactionByHash", sent)["chainId"] == hex(4_242)
    refused = client.answer("eth_sendRawTransaction", f"0x{node.transfer(1, 0).hex()}")
    assert "invalid chain id" in refused["error"]["message"]
    client.ask("evm_revert", snapshot)
    assert client.ask("eth_chainId") == hex(node.chain_id)


def test_randao__once_set__is_of_one_block(node: RunningNode, client: Client) -> None:
    chosen = "0x" + "5a" * 32
    client.ask("hardhat_setPrevRandao", chosen)
    client.ask("anvil_mine", 2)
    head = height(client)
    assert [block(client, head - 1)["mixHash"] == chosen, block(client, head)["mixHash"] == chosen] == [True, False]


def test_mine__in_one_call_or_block_by_block__is_the_same_chain(node: RunningNode) -> None:
    client = node.client()
    snapshot = client.ask("evm_snapshot")
    hashes = []
    for calls in ([5], [1] * 5):
        start = client.ask("evm_snapshot")
        client.ask("evm_setNextBlockTimestamp", FAR_S)
        client.ask("anvil_setBlockTimestampInterval", 3)
        for count in calls:
            client.ask("anvil_mine", count)
        hashes.append(block(client)["hash"])
        client.ask("evm_revert", start)
    client.ask("evm_revert", snapshot)
    client.close()
    assert hashes[0] == hashes[1]


def test_mine__more_than_a_call_may__is_refused(client: Client) -> None:
    assert client.answer("anvil_mine", hex(2**60))["error"]["code"] == -32005


def test_pending_transactions__of_two_senders__are_listed(client: Client) -> None:
    snapshot = client.ask("evm_snapshot")
    client.ask("evm_setAutomine", OFF)
    sent = {queue(client, FIRST), queue(client, SECOND)}
    assert {transaction["hash"] for transaction in client.ask("eth_pendingTransactions")} == sent
    client.ask("evm_revert", snapshot)
