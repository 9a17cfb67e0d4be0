"""Chains that begin otherwise: at a fork chosen while the node runs, from a genesis file, with another fork's rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets.sync.client

from tests.genesis_documents import CANCUN_BLOBS, genesis_document
from tests.rpc.running_node import HASHES_ONLY, PROMPT_S, Client, RunningNode, running_node

RECEIVER = "0x" + "77" * 20
COIN = 10**18
UPSTREAM_CHAIN_ID = 91_234


@pytest.fixture(scope="module")
def upstream() -> Iterator[Client]:
    """A chain of five blocks to fork, where each block gives the receiver a coin."""
    with running_node("--chain-id", str(UPSTREAM_CHAIN_ID)) as node:
        client = node.client()
        for _ in range(5):
            give(client, COIN)
        yield client
        client.close()


@pytest.fixture
def alone() -> Iterator[tuple[RunningNode, Client]]:
    """A node with its own chain of two blocks."""
    with running_node() as node:
        client = node.client()
        give(client, 1)
        give(client, 1)
        yield node, client
        client.close()


def give(client: Client, wei: int) -> None:
    sender = client.ask("eth_accounts")[0]
    client.ask("eth_sendTransaction", {"from": sender, "to": RECEIVER, "value": hex(wei), "gas": "0x5208"})


def seen(client: Client) -> tuple[int, int, int]:
    """Chain id, height, and what the receiver has."""
    wei = client.ask("eth_getBalance", RECEIVER, "latest")
    return int(client.ask("eth_chainId"), 16), int(client.ask("eth_blockNumber"), 16), int(wei, 16)


@pytest.mark.parametrize("method", ["anvil_reset", "hardhat_reset"])
def test_reset__to_a_fork__goes_on_from_the_other_chain(
    alone: tuple[RunningNode, Client], upstream: Client, method: str
) -> None:
    node, client = alone
    own = client.ask("eth_chainId")
    with websockets.sync.client.connect(node.websocket) as socket:
        socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}))
        socket.recv(PROMPT_S)
        assert client.ask(method, {"forking": {"jsonRpcUrl": upstream.url, "blockNumber": 3}}) is None
        assert seen(client) == (UPSTREAM_CHAIN_ID, 3, 3 * COIN)
        forked = client.ask("anvil_nodeInfo")["forkConfig"]
        assert (forked["forkUrl"], forked["forkBlockNumber"]) == (upstream.url, 3)
        assert client.ask("eth_getBlockByNumber", "0x2", HASHES_ONLY) == upstream.ask(
            "eth_getBlockByNumber", "0x2", HASHES_ONLY
        )
        give(client, 5)
        assert seen(client) == (UPSTREAM_CHAIN_ID, 4, 3 * COIN + 5)
        # Without a URL the same chain is forked again, and without a number at its newest block.
        client.ask(method, {"forking": {"blockNumber": "0x1"}})
        assert seen(client) == (UPSTREAM_CHAIN_ID, 1, COIN)
        client.ask(method, {"jsonRpcUrl": upstream.url})
        assert seen(client) == (UPSTREAM_CHAIN_ID, 5, 5 * COIN)
        # Without anything the node is what it was at its start.
        client.ask(method)
        assert seen(client) == (int(own, 16), 0, 0)
        assert client.ask("anvil_nodeInfo")["forkConfig"]["forkUrl"] is None
        give(client, 7)
        assert seen(client) == (int(own, 16), 1, 7)
        heights = [int(json.loads(socket.recv(PROMPT_S))["params"]["result"]["number"], 16) for _ in range(6)]
        # Subscribers stayed, and heard of each beginning and of each block.
        assert heights == [3, 4, 1, 5, 0, 1]


def test_reset__to_a_fork_that_cannot_be__changes_nothing(alone: tuple[RunningNode, Client], upstream: Client) -> None:
    _, client = alone
    before = seen(client)
    snapshot = client.ask("evm_snapshot")
    for forking in (
        {"jsonRpcUrl": "http://127.0.0.1:9"},
        {"jsonRpcUrl": "ftp://127.0.0.1"},
        {"jsonRpcUrl": upstream.url, "blockNumber": 10**6},
        {"jsonRpcUrl": 7},
        {"blockNumber": 1},
    ):
        assert "error" in client.answer("anvil_reset", {"forking": forking}), forking
        assert seen(client) == before
    give(client, 1)
    assert client.ask("evm_revert", snapshot) is True
    assert seen(client) == before


def test_reset__to_a_fork_where_a_folder_is_kept__is_refused(tmp_path: Path, upstream: Client) -> None:
    with running_node("--data-dir", str(tmp_path / "chain")) as node:
        client = node.client()
        answer = client.answer("anvil_reset", {"forking": {"jsonRpcUrl": upstream.url}})
        assert answer["error"]["code"] == -32602
        assert "storage.path" in answer["error"]["message"]
        client.close()


def test_reset__of_a_chain_with_another_id__restores_the_first(alone: tuple[RunningNode, Client]) -> None:
    _, client = alone
    first = client.ask("eth_chainId")
    client.ask("anvil_setChainId", 4_242)
    assert client.ask("eth_chainId") == hex(4_242)
    client.ask("anvil_reset")
    assert (client.ask("eth_chainId"), client.ask("eth_blockNumber")) == (first, "0x0")
    give(client, 3)
    assert client.ask("eth_getBalance", RECEIVER, "latest") == "0x3"


GENESIS = genesis_document("Shanghai", 1_234_567) | {
    "timestamp": "0x64",
    "gasLimit": "0x1000000",
    "extraData": "0xabcd",
    "baseFeePerGas": "0x7",
    "alloc": {RECEIVER: {"balance": "0x2a", "code": "0x00", "storage": {"0x01": "0x05"}, "nonce": "0x1"}},
}


def test_init__with_a_genesis_file__begins_with_its_block_and_accounts(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    path.write_text(json.dumps(GENESIS), encoding="ascii")
    with running_node("--init", str(path)) as node:
        client = node.client()
        assert (node.chain_id, node.started["fork"]) == (1_234_567, "Shanghai")
        first = client.ask("eth_getBlockByNumber", "0x0", HASHES_ONLY)
        assert {name: first[name] for name in ("timestamp", "gasLimit", "extraData", "baseFeePerGas")} == {
            name: GENESIS[name] for name in ("timestamp", "gasLimit", "extraData", "baseFeePerGas")
        }
        assert client.ask("eth_getBalance", RECEIVER, "latest") == "0x2a"
        assert int(client.ask("eth_getStorageAt", RECEIVER, "0x1", "latest"), 16) == 5
        # Development accounts are there as well, and the chain goes on by the file's rules.
        client.send(node.transfer(0, 0))
        block = client.ask("eth_getBlockByNumber", "latest", HASHES_ONLY)
        assert ("withdrawalsRoot" in block, "blobGasUsed" in block) == (True, False)
        client.close()
    with running_node("--init", str(path), "--chain-id", "99") as node:
        assert node.chain_id == 99


@pytest.mark.parametrize("fork", ["London", "Paris", "Cancun", "Prague"])
def test_init__with_a_file_without_system_contracts__builds_blocks(tmp_path: Path, fork: str) -> None:
    document = genesis_document(fork, 77, blobs=CANCUN_BLOBS if fork in ("Cancun", "Prague") else None)
    path = tmp_path / "genesis.json"
    path.write_text(json.dumps(document), encoding="ascii")
    with running_node("--init", str(path)) as node:
        client = node.client()
        client.send(node.transfer(0, 0))
        assert (node.started["fork"], client.ask("eth_getBalance", RECEIVER, "latest")) == (fork, "0x1")
        client.close()


@pytest.mark.parametrize("name", ["paris", "Shanghai", "CANCUN", "prague", "osaka"])
def test_hardfork__by_name__has_the_headers_of_that_fork(name: str) -> None:
    fields = {"Paris": (), "Shanghai": ("withdrawalsRoot",), "Cancun": ("withdrawalsRoot", "blobGasUsed")}
    with running_node("--hardfork", name) as node:
        client = node.client()
        client.send(node.transfer(0, 0))
        block = client.ask("eth_getBlockByNumber", "latest", HASHES_ONLY)
        expected = fields.get(name.title(), ("withdrawalsRoot", "blobGasUsed", "requestsHash"))
        found = tuple(field for field in ("withdrawalsRoot", "blobGasUsed", "requestsHash") if field in block)
        assert (node.started["fork"], found) == (name.title(), expected)
        client.close()
