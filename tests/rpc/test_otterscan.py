"""ots_* over HTTP, against the eth_, trace_ and debug_ methods that say the same in other words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.rpc.control_world import OFF, ON
from tests.rpc.running_node import running_node
from tests.rpc.trace_world import RECEIVER, TraceWorld, frames

UNKNOWN = "0x" + "12" * 32


@pytest.fixture(scope="module")
def world() -> Iterator[TraceWorld]:
    with running_node() as node:
        made = TraceWorld(node)
        yield made
        made.client.close()


def test_has_code__at_every_block__is_whether_there_is_code(world: TraceWorld) -> None:
    ask = world.client.ask
    for address in (world.relay, world.destroyer, world.child, RECEIVER):
        for height in ("0x0", *world.heights):
            assert ask("ots_hasCode", address, height) == (ask("eth_getCode", address, height) != "0x")


def test_block_details__of_every_block__are_the_blocks_with_their_fees(world: TraceWorld) -> None:
    ask = world.client.ask
    for height in ("0x0", *world.heights):
        block = ask("eth_getBlockByNumber", height, OFF)
        receipts = ask("eth_getBlockReceipts", height)
        details = ask("ots_getBlockDetails", height)
        count = len(block.pop("transactions"))
        assert details["block"] == block | {"logsBloom": None, "transactionCount": count}
        fees = sum(int(one["gasUsed"], 16) * int(one["effectiveGasPrice"], 16) for one in receipts)
        assert int(details["totalFees"], 16) == fees
        assert ask("ots_getBlockDetailsByHash", block["hash"]) == details
        header = ask("erigon_getHeaderByNumber", height)
        assert header == ask("eth_getHeaderByNumber", height)
    assert ask("ots_getBlockDetails", hex(10**6)) is None
    assert ask("ots_getBlockDetailsByHash", UNKNOWN) is None


@pytest.mark.parametrize("size", [1, 3, 25])
def test_block_transactions__page_by_page__are_those_of_the_block(world: TraceWorld, size: int) -> None:
    ask, height = world.client.ask, hex(world.block)
    transactions, receipts = [], []
    for page in range(-(-len(world.hashes) // size)):
        found = ask("ots_getBlockTransactions", height, page, size)
        assert found["fullblock"]["transactionCount"] == len(world.hashes)
        transactions += found["fullblock"]["transactions"]
        receipts += found["receipts"]
    expected = [one | {"input": one["input"][:10]} for one in ask("eth_getBlockByNumber", height, ON)["transactions"]]
    assert transactions == expected
    assert receipts == [one | {"logs": None, "logsBloom": None} for one in ask("eth_getBlockReceipts", height)]


def test_transaction_by_sender_and_nonce__of_every_transaction__is_it(world: TraceWorld) -> None:
    ask = world.client.ask
    for height in world.heights:
        for one in ask("eth_getBlockByNumber", height, ON)["transactions"]:
            assert ask("ots_getTransactionBySenderAndNonce", one["from"], int(one["nonce"], 16)) == one["hash"]
    assert ask("ots_getTransactionBySenderAndNonce", world.accounts[0], 10**6) is None


def test_contract_creator__of_each_contract__is_in_the_traces(world: TraceWorld) -> None:
    ask = world.client.ask
    creations = {
        trace["result"]["address"]: {"hash": trace["transactionHash"], "creator": trace["action"]["from"]}
        for height in world.heights
        for trace in ask("trace_block", height)
        if trace["type"] == "create" and trace.get("result")
    }
    assert {world.relay, world.creator, world.child} <= set(creations)
    for contract, creation in creations.items():
        expected = creation if ask("eth_getCode", contract, "latest") != "0x" else None
        assert ask("ots_getContractCreator", contract) == expected
    assert ask("ots_getContractCreator", RECEIVER) is None


@pytest.mark.parametrize("size", [1, 2, 100])
def test_searches__of_an_account__find_what_the_traces_name(world: TraceWorld, size: int) -> None:
    ask = world.client.ask
    for account in (RECEIVER, world.relay, world.child, world.accounts[0]):
        expected = touching(world, account)
        backwards, number = [], 0
        while True:
            page = ask("ots_searchTransactionsBefore", account, number, size)
            backwards += [one["hash"] for one in page["txs"]]
            assert [one["transactionHash"] for one in page["receipts"]] == [one["hash"] for one in page["txs"]]
            if page["lastPage"]:
                break
            number = int(page["txs"][-1]["blockNumber"], 16)
        # Newest block first; within a block in its order.
        assert sorted(backwards) == sorted(expected)
        forwards, number = [], 0
        while True:
            page = ask("ots_searchTransactionsAfter", account, number, size)
            forwards += [one["hash"] for one in reversed(page["txs"])]
            if page["firstPage"]:
                break
            number = int(page["txs"][0]["blockNumber"], 16)
        assert forwards == expected


def touching(world: TraceWorld, account: str) -> list[str]:
    """Transactions whose traces name an account, oldest first."""
    found: dict[str, None] = {}
    for height in world.heights:
        for trace in world.client.ask("trace_block", height):
            action, result = trace["action"], trace.get("result") or {}
            named = {action.get(name) for name in ("from", "to", "address", "refundAddress")} | {result.get("address")}
            if account in named:
                found[trace["transactionHash"]] = None
    return list(found)


def test_trace_transaction__of_each_kind__is_call_tracers_tree_with_depths(world: TraceWorld) -> None:
    ask = world.client.ask
    for one in world.hashes:
        tree = ask("debug_traceTransaction", one, {"tracer": "callTracer"})
        expected = [(len(path), frame["type"], frame["from"], frame.get("to")) for path, frame in frames(tree)]
        traces = ask("ots_traceTransaction", one)
        assert [(entry["depth"], entry["type"], entry["from"], entry["to"]) for entry in traces] == expected
    assert ask("ots_traceTransaction", UNKNOWN) is None


def test_internal_operations__of_each_kind__are_the_traces_that_move_or_make(world: TraceWorld) -> None:
    ask = world.client.ask
    kinds = {"call": 0, "suicide": 1, "create": 2}
    for one in world.hashes:
        # As in Erigon and reth, a transfer that was taken back is listed too.
        expected = [
            (kinds[trace["type"]], value_of(trace))
            for trace in ask("trace_transaction", one)
            if trace["traceAddress"] and (trace["type"] != "call" or value_of(trace))
        ]
        found = ask("ots_getInternalOperations", one)
        assert [(entry["type"], int(entry["value"], 16)) for entry in found] == expected
    assert ask("ots_getInternalOperations", UNKNOWN) is None


def value_of(trace: dict[str, Any]) -> int:
    return int(trace["action"].get("value", trace["action"].get("balance", "0x0")), 16)


def test_transaction_error__of_each_transaction__is_its_revert_data(world: TraceWorld) -> None:
    ask = world.client.ask
    receipts = ask("eth_getBlockReceipts", hex(world.block))
    errors = [ask("ots_getTransactionError", one) for one in world.hashes]
    assert [error == "0x" for error in errors] == [receipt["status"] == "0x1" for receipt in receipts]
    assert [error for error in errors if error != "0x"] == ["0x" + "ab" * 32]
    assert ask("ots_getTransactionError", UNKNOWN) is None
