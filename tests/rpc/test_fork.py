"""A fork of a second ``metis dev``: against that node itself, through a proxy that counts and misbehaves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metis.engine import keccak256
from metis.types import Gas, Wei
from tests.rpc.running_node import HASHES_ONLY, WHOLE, RunningNode, running_node
from tests.rpc.upstream_proxy import (
    Fault,
    UpstreamProxy,
    broken,
    cut_off,
    garbage,
    rate_limited,
    slow,
    upstream_proxy,
)

# Adds the calldata's word to slot 1, logs it, returns the sum.
COUNTER_CODE = bytes.fromhex("60003560015401806001556000526007602060 00a160206000f3".replace(" ", ""))
DEPLOY = bytes.fromhex(f"60{len(COUNTER_CODE):02x}600c60003960{len(COUNTER_CODE):02x}6000f3") + COUNTER_CODE
RECEIVER = "0x" + "77" * 20


class World:
    """An upstream node with a contract and some history, and a proxy in front of it."""

    def __init__(self, node: RunningNode, proxy: UpstreamProxy) -> None:
        self.node = node
        self.proxy = proxy
        self.client = node.client()
        deployed = self.client.send(call_data(node, 0, None, DEPLOY))
        self.receipt = self.client.ask("eth_getTransactionReceipt", deployed)
        self.counter = self.receipt["contractAddress"]
        self.sent = self.client.send(call_data(node, 1, self.counter, word(40)))
        self.client.send(node.transfer(1, 0))
        self.number = int(self.client.ask("eth_blockNumber"), 16)

    def options(self, *more: str) -> tuple[str, ...]:
        return ("--fork-url", self.proxy.url, "--fork-block-number", str(self.number), *more)


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def call_data(node: RunningNode, nonce: int, to: str | None, data: bytes) -> bytes:
    receiver = None if to is None else bytes.fromhex(to[2:])
    return node.transfer(0, nonce, to=receiver, data=data, gas_limit=Gas(200_000), value_wei=Wei(0))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_node() as node, upstream_proxy(node.http) as proxy:
        made = World(node, proxy)
        yield made
        made.client.close()


@pytest.fixture
def fork(world: World) -> Iterator[RunningNode]:
    world.proxy.asked.clear()
    with running_node(*world.options("--no-fork-cache")) as node:
        yield node


def questions(world: World) -> list[tuple[str, list[Any]]]:
    number, old = hex(world.number), hex(world.number - 1)
    call = {"to": world.counter, "data": f"0x{word(2).hex()}", "from": RECEIVER}
    block = world.client.ask("eth_getBlockByNumber", old, HASHES_ONLY)["hash"]
    return [
        ("eth_chainId", []),
        ("eth_blockNumber", []),
        ("eth_getBalance", [RECEIVER, "latest"]),
        ("eth_getBalance", [RECEIVER, old]),
        ("eth_getBalance", [RECEIVER, {"blockHash": block}]),
        ("eth_getTransactionCount", [f"0x{world.node.addresses[0].hex()}", "latest"]),
        ("eth_getCode", [world.counter, "latest"]),
        ("eth_getStorageAt", [world.counter, "0x1", number]),
        ("eth_getStorageAt", [world.counter, "0x1", "0x1"]),
        ("eth_getProof", [world.counter, ["0x1"], number]),
        ("eth_getProof", [world.counter, ["0x1"], old]),
        ("eth_call", [call, "latest"]),
        ("eth_call", [call, old]),
        ("eth_estimateGas", [call, "latest"]),
        ("eth_createAccessList", [call, "latest"]),
        ("eth_getBlockByNumber", [number, True]),
        ("eth_getBlockByNumber", ["latest", False]),
        ("eth_getBlockByNumber", ["earliest", False]),
        ("eth_getBlockByHash", [block, True]),
        ("eth_getBlockReceipts", [old]),
        ("eth_getBlockTransactionCountByNumber", [number]),
        ("eth_getTransactionByBlockNumberAndIndex", [old, "0x0"]),
        ("eth_getTransactionByHash", [world.sent]),
        ("eth_getTransactionReceipt", [world.sent]),
        ("eth_getRawTransactionByHash", [world.sent]),
        ("eth_getLogs", [{"fromBlock": "earliest", "address": world.counter}]),
        ("eth_getLogs", [{"blockHash": block}]),
        ("eth_feeHistory", ["0x3", number, [10, 50]]),
        ("debug_traceTransaction", [world.sent, {"tracer": "callTracer"}]),
        ("debug_traceCall", [call, "latest", {"tracer": "callTracer"}]),
        ("eth_callMany", [[{"transactions": [call, call]}], {"blockNumber": "latest"}]),
        ("eth_callMany", [[{"transactions": [call, call]}], {"blockNumber": old}]),
        ("trace_callMany", [[[call, ["trace"]], [call, ["stateDiff"]]], "latest"]),
        ("trace_callMany", [[[call, ["trace"]]], old]),
        ("debug_getRawTransactions", [number]),
        ("debug_accountInfoAt", [old, 0, world.counter]),
        ("debug_codeByHash", [f"0x{keccak256(COUNTER_CODE).hex()}"]),
        ("eth_getTransactionByHash", ["0x" + "12" * 32]),
        ("eth_getBlockByHash", ["0x" + "12" * 32, False]),
        ("eth_getBlockByNumber", [hex(world.number + 9), False]),
    ]


def test_fork__asked_anything_at_its_block_or_before__answers_as_upstream(world: World, fork: RunningNode) -> None:
    client = fork.client()
    for method, params in questions(world):
        ours, theirs = client.answer(method, *params), world.client.answer(method, *params)
        assert ours.get("result") == theirs.get("result"), (method, params)
        assert ours.get("error") == theirs.get("error"), (method, params)
    client.close()


def test_fork__of_the_same_transactions__has_the_receipts_of_a_node_that_went_on(
    world: World, fork: RunningNode
) -> None:
    with running_node() as twin:
        # The twin has the upstream node's whole history, executed by itself.
        other, client = twin.client(), fork.client()
        other.send(call_data(twin, 0, None, DEPLOY))
        other.send(call_data(twin, 1, world.counter, word(40)))
        other.send(twin.transfer(1, 0))
        for raw in (
            call_data(fork, 2, world.counter, word(5)),
            fork.transfer(1, 1),
            call_data(fork, 3, world.counter, word(6)),
        ):
            ours, theirs = (node.ask("eth_getTransactionReceipt", node.send(raw)) for node in (client, other))
            for receipt in (ours, theirs):
                for part in (receipt, *receipt["logs"]):
                    # Of the header, timestamp and state root are another.
                    part.pop("blockHash"), part.pop("blockTimestamp", None)
            assert ours == theirs
        for node in (client, other):
            assert int(node.ask("eth_getStorageAt", world.counter, "0x1", "latest"), 16) == 51
        logs = [node.ask("eth_getLogs", {"fromBlock": "0x0", "address": world.counter}) for node in (client, other)]
        assert [entry["data"] for entry in logs[0]] == [entry["data"] for entry in logs[1]]
        assert len(logs[0]) == 3
        history = [node.ask("eth_feeHistory", "0x5", "latest", [50]) for node in (client, other)]
        assert history[0] == history[1]
        assert [client.ask("eth_getBalance", RECEIVER, tag) for tag in ("0x1", hex(world.number), "latest")] == [
            "0x0",
            "0x1",
            "0x2",
        ]
        client.close()
        other.close()


def test_fork__whatever_is_asked__asks_for_each_key_once(world: World, fork: RunningNode) -> None:
    client = fork.client()
    for _ in range(2):
        for method, params in questions(world):
            client.answer(method, *params)
    for nonce in range(3):
        client.send(call_data(fork, 2 + nonce, world.counter, word(1)))
    client.close()
    # What upstream does not know it may learn: that is asked again.
    known = {key: count for key, count in world.proxy.asked.items() if "12" * 32 not in key}
    assert {key for key, count in known.items() if count > 1} == set()
    assert max(world.proxy.state_keys().values()) == 1


def test_fork__transactions_upstream_after_it__are_not_told(world: World) -> None:
    with running_node(*world.options("--no-fork-cache", "--fork-block-number", str(world.number - 1))) as fork:
        client = fork.client()
        last = world.client.ask("eth_getBlockByNumber", hex(world.number), WHOLE)
        assert client.ask("eth_getTransactionByHash", last["transactions"][0]["hash"]) is None
        assert client.ask("eth_getTransactionReceipt", last["transactions"][0]["hash"]) is None
        assert client.ask("eth_getBlockByHash", last["hash"], HASHES_ONLY) is None
        assert client.ask("eth_getBalance", RECEIVER, "latest") == "0x0"
        client.close()


def test_fork__after_a_transaction__begins_right_behind_it(world: World) -> None:
    options = ("--fork-url", world.proxy.url, "--fork-transaction-hash", world.sent, "--no-fork-cache")
    with running_node(*options) as fork:
        client = fork.client()
        assert fork.started["head_number"] == world.number - 1
        assert int(client.ask("eth_getStorageAt", world.counter, "0x1", "latest"), 16) == 40
        ours, theirs = (asked.ask("eth_getTransactionReceipt", world.sent) for asked in (client, world.client))
        for field in ("gasUsed", "status", "effectiveGasPrice", "blockNumber"):
            assert ours[field] == theirs[field]
        assert client.ask("eth_getBalance", RECEIVER, "latest") == "0x0"
        client.close()


@pytest.mark.parametrize("fault", [rate_limited, broken, garbage, cut_off, slow])
def test_fork__upstream_fails_some_times__answers_all_the_same(world: World, fork: RunningNode, fault: Fault) -> None:
    client = fork.client()
    world.proxy.faults = [fault, fault]
    assert int(client.ask("eth_getStorageAt", world.counter, "0x1", "latest"), 16) == 40
    assert world.proxy.faults == [] or fault is slow
    world.proxy.faults = []
    client.close()


def test_fork__upstream_goes_away__says_so_and_stays_healthy(world: World, tmp_path: Path) -> None:
    config = tmp_path / "metis.toml"
    config.write_text("[fork]\nretry_count = 1\nretry_pause_ms = 10\n")
    with upstream_proxy(world.node.http) as proxy:
        options = ("--fork-url", proxy.url, "--no-fork-cache", "--config", str(config))
        with running_node(*options) as fork:
            client = fork.client()
            assert client.ask("eth_getBalance", RECEIVER, "latest") == "0x1"
            snapshot = client.ask("eth_getBlockByNumber", "latest", HASHES_ONLY)["hash"]
            proxy.stop()
            refused = client.answer("eth_getBalance", "0x" + "99" * 20, "latest")["error"]
            assert refused["code"] == -32002
            assert "cannot be reached" in refused["message"]
            assert client.ask("eth_getBalance", RECEIVER, "latest") == "0x1"
            assert client.ask("eth_getBlockByNumber", "latest", HASHES_ONLY)["hash"] == snapshot
            assert client.get("/health")[0] == 200
            client.close()


def test_fork__under_a_test_s_control__goes_back_and_changes_what_was_fetched(world: World, fork: RunningNode) -> None:
    client = fork.client()
    slot = (world.counter, "0x1", "latest")
    snapshot = client.ask("evm_snapshot")
    sent = client.send(call_data(fork, 2, world.counter, word(2)))
    traced = client.ask("debug_traceTransaction", sent, {"tracer": "callTracer"})
    assert int(traced["output"], 16) == 42
    client.ask("anvil_setStorageAt", world.counter, "0x1", f"0x{word(7).hex()}")
    client.ask("anvil_setBalance", RECEIVER, "0x64")
    assert (int(client.ask("eth_getStorageAt", *slot), 16), client.ask("eth_getBalance", RECEIVER)) == (7, "0x64")
    assert client.ask("evm_revert", snapshot) is True
    assert (int(client.ask("eth_getStorageAt", *slot), 16), client.ask("eth_getBalance", RECEIVER)) == (40, "0x1")
    client.ask("anvil_setCode", world.counter, "0x00")
    client.ask("anvil_mine", "0x3")
    assert int(client.ask("eth_blockNumber"), 16) == world.number + 3
    assert int(client.ask("eth_getStorageAt", *slot), 16) == 40
    client.ask("anvil_impersonateAccount", world.counter)
    client.ask("anvil_setBalance", world.counter, hex(10**18))
    call = {"from": world.counter, "to": RECEIVER, "value": "0x3", "gas": "0x5208"}
    client.ask("eth_sendTransaction", call)
    assert client.ask("eth_getBalance", RECEIVER) == "0x4"
    forked = client.ask("anvil_nodeInfo")["forkConfig"]
    assert (forked["forkUrl"], forked["forkBlockNumber"]) == (world.proxy.url, world.number)
    client.ask("anvil_reset")
    assert int(client.ask("eth_blockNumber"), 16) == world.number
    assert client.ask("eth_getCode", world.counter, "latest") == world.client.ask(
        "eth_getCode", world.counter, "latest"
    )
    client.close()


def test_fork__given_another_url__asks_there(world: World, fork: RunningNode) -> None:
    client = fork.client()
    with upstream_proxy(world.node.http) as other:
        client.ask("anvil_setRpcUrl", other.url)
        assert int(client.ask("eth_getStorageAt", world.counter, "0x1", "latest"), 16) == 40
        assert other.request_count == 1
    client.close()


def test_fork__started_again_with_upstream_gone__goes_on_from_the_cache(world: World, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    config = tmp_path / "metis.toml"
    config.write_text(f'[fork]\ncache_path = "{cache}"\nretry_count = 0\n')
    with upstream_proxy(world.node.http) as proxy:
        url = f"{proxy.url}/v3/0123456789abcdef"
        options = ("--fork-url", url, "--fork-block-number", str(world.number), "--config", str(config))
        answers = []
        for is_second in (False, True):
            if is_second:
                proxy.stop()
            with running_node(*options) as fork:
                client = fork.client()
                client.send(call_data(fork, 2, world.counter, word(2)))
                answers.append(
                    [
                        client.ask("eth_getStorageAt", world.counter, "0x1", "latest"),
                        client.ask("eth_getTransactionReceipt", world.sent),
                        client.ask("eth_getBalance", RECEIVER, "latest"),
                    ]
                )
                client.close()
    assert answers[0] == answers[1]
    assert int(answers[0][0], 16) == 42
    (kept,) = cache.glob("*/*.log")
    assert b"0123456789abcdef" not in kept.read_bytes()
    assert "0123456789abcdef" not in str(kept)


def test_fork__of_a_node_that_is_not_there__says_so_and_not_its_key() -> None:
    command = [sys.executable, "-m", "metis.cli", "dev", "--port", "0", "--no-fork-cache"]
    command += ["--config", "/dev/stdin", "--fork-url", "http://127.0.0.1:9/v2/secret"]
    settings = "[fork]\nretry_count = 0\n"
    ended = subprocess.run(command, input=settings, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "upstream http://127.0.0.1:9: cannot be reached" in ended.stderr
    assert "secret" not in ended.stderr
    assert "Traceback" not in ended.stderr
