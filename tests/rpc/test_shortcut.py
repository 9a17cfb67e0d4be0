"""The engine's shortcut for plain messages: never another answer than the methods', and really taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metis.cli.contract_files import load_contract
from metis.cli.dev_chain import open_chain
from metis.engine import Node
from metis.node.config import NodeConfig
from metis.types import Address, Gas, UnsignedTransaction
from metis.types.units import Wei
from tests.rpc.running_node import HASHES_ONLY, RunningNode, running_node

DETOUR = {"detour": True}
"""An unknown member, ignored by the protocol: the shortcut leaves such messages to the methods."""


@dataclass(frozen=True)
class Chain:
    """A node with a token on it, and strings that mean something there."""

    node: RunningNode
    addresses: tuple[str, ...]
    hashes: tuple[str, ...]
    blocks: tuple[str, ...]
    calldata: tuple[str, ...]
    slots: tuple[str, ...]


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    """Deploy a token, move some of it, and fail once."""
    with running_node() as node:
        client = node.client()
        owner, receiver = client.ask("eth_accounts")[:2]
        code = load_contract("Token").bytecode + (10**24).to_bytes(32, "big")
        sent = client.ask("eth_sendTransaction", {"from": owner, "data": f"0x{code.hex()}"})
        deployed = client.ask("eth_getTransactionReceipt", sent)
        token = deployed["contractAddress"]
        transfer = f"0xa9059cbb{receiver[2:]:0>64}{7:064x}"
        balance = f"0x70a08231{owner[2:]:0>64}"
        moved = [client.ask("eth_sendTransaction", {"from": owner, "to": token, "data": transfer}) for _ in range(3)]
        head = client.ask("eth_getBlockByNumber", "latest", HASHES_ONLY)
        for data in (transfer, balance):
            client.ask("eth_call", {"from": owner, "to": token, "data": data}, "latest")
        client.close()
        yield Chain(
            node,
            (owner, receiver, token, owner.upper().replace("0X", "0x"), "0x" + "00" * 20, "0x1234"),
            (sent, *moved, "0x" + "ab" * 32),
            (
                "latest",
                "earliest",
                "pending",
                "safe",
                "0x0",
                "0x1",
                "0x2",
                "0x99",
                "0x01",
                head["hash"],
                head["parentHash"],
            ),
            (transfer, balance, "0x", "0xdeadbeef", "0xabc"),
            ("0x0", "0x1", "0x" + "00" * 31 + "01", "0x" + "11" * 32, "2"),
        )


def params_of(method: str, chain: Chain) -> st.SearchStrategy[list[Any]]:
    """Parameters as clients give them, right, odd and wrong."""
    address, block = st.sampled_from(chain.addresses), st.sampled_from(chain.blocks)
    hashes, slot = st.sampled_from(chain.hashes), st.sampled_from(chain.slots)
    optional_block = st.lists(block | st.none(), max_size=2)
    quantity = st.sampled_from(["0x0", "0x1", "0x5208", "0x00", "0xffffff", "0x" + "f" * 64, "1"])
    call = st.fixed_dictionaries(
        {"to": address},
        optional={
            "from": address,
            "data": st.sampled_from(chain.calldata),
            "input": st.sampled_from(chain.calldata),
            "gas": quantity,
            "value": quantity,
            "gasPrice": quantity,
        },
    )
    wish = st.fixed_dictionaries(
        {},
        optional={
            "fromBlock": block | st.none(),
            "toBlock": block,
            "address": address | st.lists(address, max_size=2),
            "topics": st.lists(hashes | st.none() | st.lists(hashes, max_size=2), max_size=5),
            "blockHash": block,
        },
    )
    flag = st.lists(st.booleans() | st.just("true"), max_size=2)
    plans = {
        "eth_blockNumber": st.just([]) | st.just([1]),
        "eth_getBalance": st.tuples(address).map(list),
        "eth_getTransactionCount": st.tuples(address).map(list),
        "eth_getCode": st.tuples(address).map(list),
        "eth_getStorageAt": st.tuples(address, slot).map(list),
        "eth_getProof": st.tuples(address, st.lists(slot, max_size=3)).map(list),
        "eth_call": st.tuples(call).map(list),
        "eth_estimateGas": st.tuples(call).map(list),
        "eth_getTransactionReceipt": st.tuples(hashes).map(list),
        "eth_getTransactionByHash": st.tuples(hashes).map(list),
        "eth_getBlockByNumber": st.tuples(block).map(list),
        "eth_getBlockByHash": st.tuples(block).map(list),
        "eth_getLogs": st.tuples(wish).map(list),
    }
    rest: st.SearchStrategy[list[Any]] = optional_block
    if method in {"eth_blockNumber", "eth_getTransactionReceipt", "eth_getTransactionByHash", "eth_getLogs"}:
        rest = st.just([])
    elif method.startswith("eth_getBlock"):
        rest = flag
    return st.tuples(plans[method], rest).map(lambda parts: parts[0] + parts[1])


METHODS = (
    "eth_blockNumber", "eth_getBalance", "eth_getTransactionCount", "eth_getCode", "eth_getStorageAt", "eth_getProof",
    "eth_call", "eth_estimateGas", "eth_getTransactionReceipt", "eth_getTransactionByHash", "eth_getBlockByNumber",
    "eth_getBlockByHash", "eth_getLogs",
)  # fmt: skip

IDS = st.integers(-2, 2**70) | st.sampled_from(["a", "", "é", 'quote"', None, 1.5, "x" * 100])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("method", METHODS)
def test_shortcut__any_request_of_a_method__is_answered_as_by_the_method(
    chain: Chain, method: str, data: st.DataObject
) -> None:
    request = {
        "jsonrpc": "2.0",
        "id": data.draw(IDS),
        "method": method,
        "params": data.draw(params_of(method, chain)),
    }
    client = chain.node.client()
    plain = client.post(json.dumps(request).encode())
    detour = client.post(json.dumps(request | DETOUR).encode())
    client.close()
    assert plain == detour


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_shortcut__batches__are_answered_as_by_the_methods(chain: Chain, data: st.DataObject) -> None:
    methods = data.draw(st.lists(st.sampled_from(METHODS), min_size=1, max_size=6))
    batch = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": data.draw(params_of(method, chain))}
        for number, method in enumerate(methods)
    ]
    client = chain.node.client()
    plain = client.post(json.dumps(batch).encode())
    detour = client.post(json.dumps([request | DETOUR for request in batch]).encode())
    client.close()
    assert plain == detour


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_blockNumber", []),
        ("eth_getBalance", ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "latest"]),
        ("eth_getTransactionCount", ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "pending"]),
        ("eth_getCode", ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x0"]),
        ("eth_getStorageAt", ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x0", "latest"]),
        ("eth_getProof", ["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", [], "latest"]),
        ("eth_getBlockByNumber", ["latest", False]),
        ("eth_getLogs", [{"fromBlock": "latest", "toBlock": "latest"}]),
    ],
)
def test_shortcut__plain_request__is_taken(method: str, params: list[Any]) -> None:
    opened = open_chain(NodeConfig())
    node = Node.open(json.dumps(opened.genesis).encode(), opened.accounts)
    answerer = node.answerer(call_gas_max=10**8, batch_count_max=10, answer_size_bytes_max=10**6)
    request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    found = answerer(json.dumps(request).encode())
    assert found is not None
    answer, name = found
    assert name == method
    assert json.loads(answer)["id"] == 7
    assert answerer(json.dumps(request | DETOUR).encode()) is None


def test_shortcut__call_of_an_unknown_address__is_left_to_the_methods_until_it_is_known_as_quick() -> None:
    opened = open_chain(NodeConfig())
    node = Node.open(json.dumps(opened.genesis).encode(), opened.accounts)
    answerer = node.answerer(call_gas_max=10**8, batch_count_max=10, answer_size_bytes_max=10**6)
    to = opened.keys[1].address
    call = {"to": f"0x{to.hex()}"}
    request = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "eth_call", "params": [call, "latest"]}).encode()
    assert answerer(request) is None
    node.call(UnsignedTransaction(Address(bytes(20)), 0, Gas(10**6), Wei(0), to, chain_id=7_133_717), 0)
    assert answerer(request) == (b'{"jsonrpc":"2.0","id":7,"result":"0x"}', "eth_call")


@pytest.mark.parametrize(("call_count", "fate"), [(100, "taken"), (300, "left")])
def test_shortcut__batch_of_calls__is_taken_when_all_together_are_quick(call_count: int, fate: str) -> None:
    opened = open_chain(NodeConfig())
    node = Node.open(json.dumps(opened.genesis).encode(), opened.accounts)
    answerer = node.answerer(call_gas_max=10**8, batch_count_max=1_000, answer_size_bytes_max=10**6)
    to = opened.keys[1].address
    node.call(UnsignedTransaction(Address(bytes(20)), 0, Gas(10**6), Wei(0), to, chain_id=7_133_717), 0)
    call = {"jsonrpc": "2.0", "method": "eth_call", "params": [{"to": f"0x{to.hex()}"}, "latest"]}
    found = answerer(json.dumps([call | {"id": number} for number in range(call_count)]).encode())
    assert ("left" if found is None else "taken") == fate
