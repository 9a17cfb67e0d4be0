"""Instant mining: a receipt when the send returns, and nothing accepted is ever stuck."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metis.types.units import Wei
from tests.rpc.running_node import HASHES_ONLY, Client, RunningNode, running_node

SENDER_COUNT = 10
TRANSFER_COUNT = 400


def test_transfers__ten_senders_of_400_each__are_all_mined_when_their_sends_return() -> None:
    with running_node() as node:
        raw = [[node.transfer(sender, nonce) for nonce in range(TRANSFER_COUNT)] for sender in range(SENDER_COUNT)]
        together = threading.Barrier(SENDER_COUNT)

        def send_all(sender: int) -> int:
            client = node.client()
            together.wait()
            mined = 0
            for transaction in raw[sender]:
                receipt = client.ask("eth_getTransactionReceipt", client.send(transaction))
                mined += receipt is not None and receipt["status"] == "0x1"
            client.close()
            return mined

        with ThreadPoolExecutor(SENDER_COUNT) as senders:
            mined = list(senders.map(send_all, range(SENDER_COUNT)))
        assert mined == [TRANSFER_COUNT] * SENDER_COUNT
        client = node.client()
        assert client.ask("txpool_status") == {"pending": "0x0", "queued": "0x0"}
        head = int(client.ask("eth_blockNumber"), 16)
        counts = [int(client.ask("eth_getBlockTransactionCountByNumber", hex(n)), 16) for n in range(1, head + 1)]
        assert sum(counts) == SENDER_COUNT * TRANSFER_COUNT
        client.close()


def nonce_of(client: Client, node: RunningNode, sender: int) -> int:
    return int(client.ask("eth_getTransactionCount", f"0x{node.addresses[sender].hex()}", "latest"), 16)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.permutations(range(5)), min_size=1, max_size=4), st.integers(1, 4))
def test_transactions__in_any_order_over_any_connections__are_mined_as_soon_as_their_nonces_connect(
    node: RunningNode, orders: list[list[int]], connection_count: int
) -> None:
    clients = [node.client() for _ in range(connection_count)]
    begin = [nonce_of(clients[0], node, sender) for sender in range(len(orders))]
    work = [(sender, begin[sender] + offset) for sender, order in enumerate(orders) for offset in order]
    hashes: list[str] = []

    def send_some(index: int) -> None:
        for sender, nonce in work[index::connection_count]:
            hashes.append(clients[index].send(node.transfer(sender, nonce)))

    with ThreadPoolExecutor(connection_count) as senders:
        list(senders.map(send_some, range(connection_count)))
    assert clients[0].ask("txpool_status") == {"pending": "0x0", "queued": "0x0"}
    assert [nonce_of(clients[0], node, sender) - begin[sender] for sender in range(len(orders))] == [5] * len(orders)
    assert all(clients[0].ask("eth_getTransactionReceipt", sent) is not None for sent in hashes)
    for client in clients:
        client.close()


def test_transaction__behind_a_gap__waits_and_is_mined_with_the_one_that_closes_it(
    node: RunningNode, client: Client
) -> None:
    begin = nonce_of(client, node, 5)
    head = client.ask("eth_blockNumber")
    later = client.send(node.transfer(5, begin + 1))
    assert client.ask("eth_getTransactionReceipt", later) is None
    assert client.ask("eth_blockNumber") == head
    assert client.ask("eth_getTransactionByHash", later)["blockHash"] is None
    client.send(node.transfer(5, begin))
    assert client.ask("eth_getTransactionReceipt", later)["status"] == "0x1"


@pytest.mark.parametrize("mode", [("--block-time", "0.2"), ("--no-mining",)])
def test_other_modes__leave_transactions_pending__and_count_them_in_the_pending_nonce(mode: tuple[str, ...]) -> None:
    with running_node(*mode) as node:
        client = node.client()
        sent = client.send(node.transfer(0, 0))
        address = f"0x{node.addresses[0].hex()}"
        if mode[0] == "--no-mining":
            assert client.ask("eth_getTransactionCount", address, "pending") == "0x1"
            assert client.ask("eth_getTransactionCount", address, "latest") == "0x0"
            assert client.ask("eth_getBlockByNumber", "pending", HASHES_ONLY)["transactions"] == [sent]
        else:
            answer = client.ask("eth_sendRawTransactionSync", f"0x{node.transfer(0, 1).hex()}")
            assert answer["status"] == "0x1"
        client.close()


def test_transaction__below_the_base_fee__makes_no_block_and_is_mined_when_the_fee_has_fallen() -> None:
    # A node of its own: after many blocks the fee is so low that it falls no more.
    with running_node() as node:
        client = node.client()
        head = client.ask("eth_getBlockByNumber", "latest", HASHES_ONLY)
        next_fee_wei = int(client.ask("eth_feeHistory", "0x1", "latest", [])["baseFeePerGas"][-1], 16)
        low_fee_wei = Wei(next_fee_wei - 1)
        raw = node.transfer(0, 0, gas_price_wei=low_fee_wei, max_priority_fee_per_gas_wei=Wei(0))
        waiting = client.send(raw)
        assert client.ask("eth_getTransactionReceipt", waiting) is None
        assert client.ask("eth_getBlockByNumber", "latest", HASHES_ONLY) == head
        # A block that is nearly empty lowers the fee, and what waited is mined without being asked for.
        sent = client.send(node.transfer(1, 0))
        first, second = (client.ask("eth_getTransactionReceipt", each) for each in (sent, waiting))
        assert (first["blockNumber"], second["blockNumber"]) == ("0x1", "0x2")
        assert client.ask("eth_getBlockByNumber", "latest", HASHES_ONLY)["transactions"] == [waiting]
        client.close()
