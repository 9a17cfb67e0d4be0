"""A node that is killed at any instant continues with everything it reported."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
from pathlib import Path

import pytest

from metis import engine
from metis.cli.dev_chain import open_chain
from metis.engine import inspect_database, keccak256
from metis.node import NodeConfig
from tests.rpc.running_node import HASHES_ONLY, WHOLE, RunningNode, start_node

SENDER_COUNT = 4
ROUND_COUNT = 4
LONG_ROUND_COUNT = 100


class Reports:
    """What a node told its clients: receipts by transaction hash, state roots by block, and how far each sender is."""

    def __init__(self) -> None:
        self.block_of: dict[str, str] = {}
        self.nonces = [0] * SENDER_COUNT
        self.root_of: dict[str, str] = {}


def load(node: RunningNode, sender: int, reports: Reports, enough: threading.Semaphore) -> None:
    """Send transfers and note every reported block, until the node is gone."""
    client = node.client()
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        while True:
            sent = client.send(node.transfer(sender, reports.nonces[sender]))
            reports.nonces[sender] += 1
            receipt = client.ask("eth_getTransactionReceipt", sent)
            reports.block_of[sent] = receipt["blockHash"]
            block = client.ask("eth_getBlockByHash", receipt["blockHash"], HASHES_ONLY)
            reports.root_of[block["hash"]] = block["stateRoot"]
            enough.release()
    client.close()


def check(node: RunningNode, reports: Reports) -> None:
    """Every reported block is there, canonical, with its root, and every nonce covers what was reported."""
    client = node.client()
    for sent, block_hash in reports.block_of.items():
        receipt = client.ask("eth_getTransactionReceipt", sent)
        assert receipt is not None, f"{sent} was reported in {block_hash} and is gone"
        assert receipt["blockHash"] == block_hash
    for block_hash in set(reports.block_of.values()):
        block = client.ask("eth_getBlockByHash", block_hash, HASHES_ONLY)
        assert client.ask("eth_getBlockByNumber", block["number"], HASHES_ONLY)["hash"] == block_hash
        assert block["stateRoot"] == reports.root_of.get(block_hash, block["stateRoot"])
    for sender, nonce in enumerate(reports.nonces):
        address = f"0x{node.addresses[sender].hex()}"
        kept = int(client.ask("eth_getTransactionCount", address, "latest"), 16)
        # One more may have been mined whose answer did not get out.
        assert kept >= nonce
        reports.nonces[sender] = kept
    client.close()


def check_state(node: RunningNode) -> None:
    """The newest state is the one that a fresh node has which executes all blocks again."""
    client = node.client()
    chain = open_chain(NodeConfig())
    fresh = engine.Node.open(json.dumps(chain.genesis).encode(), chain.accounts)
    for number in range(1, int(client.ask("eth_blockNumber"), 16) + 1):
        raw = client.ask("debug_getRawBlock", hex(number))
        assert fresh.import_block(engine.decode_block(bytes.fromhex(raw[2:]))) == "head"
    head = client.ask("eth_getBlockByNumber", "latest", HASHES_ONLY)
    assert f"0x{fresh.head_hash.hex()}" == head["hash"]
    for address in (*node.addresses, b"\x77" * 20):
        # A proof holds against the state that is there, not against what a header says.
        proof = client.ask("eth_getProof", f"0x{address.hex()}", [], "latest")
        assert proof == json.loads(fresh.proof_json(address, [], fresh.head_number))
        assert keccak256(bytes.fromhex(proof["accountProof"][0][2:])).hex() == head["stateRoot"][2:]
    client.close()


def start(folder: Path) -> RunningNode:
    """Start a node that writes its state every few blocks; it makes again what its last checkpoint lacks, no more."""
    settings, log = folder.with_suffix(".toml"), folder.with_suffix(".log")
    settings.write_text("[storage]\nsync_interval_ms = 2\ncheckpoint_block_count = 5\n")
    log.write_text("")
    state = folder / "state"
    checkpoint = inspect_database(str(state), verify=False)["checkpoint"]["number"] if state.exists() else 0
    node = start_node("--config", str(settings), "--data-dir", str(folder), log=log)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    started = next(line for line in lines if line["message"] == "node started")
    assert started["states_made_again"] == started["head"] - checkpoint
    assert [line for line in lines if line["level"] in ("warning", "error")] == []
    return node


def run_rounds(folder: Path, round_count: int, seed: int) -> None:
    chance = random.Random(seed)
    reports = Reports()
    for _ in range(round_count):
        node = start(folder)
        try:
            check(node, reports)
            enough = threading.Semaphore(0)
            senders = [
                threading.Thread(target=load, args=(node, sender, reports, enough)) for sender in range(SENDER_COUNT)
            ]
            for thread in senders:
                thread.start()
            # The instant is given by work done, not by time: the load is the same on any machine.
            for _ in range(chance.randrange(1, 120)):
                assert enough.acquire(timeout=30)
            node.kill()
            for thread in senders:
                thread.join()
        finally:
            node.process.kill()
            node.process.wait()
            assert node.process.stdout is not None
            node.process.stdout.close()
        # What was reported in this round only: checking all rounds again each time would be quadratic.
        if len(reports.block_of) > 2_000:
            reports.block_of = dict(list(reports.block_of.items())[-500:])
    node = start(folder)
    check(node, reports)
    check_state(node)
    assert node.stop() == 0
    assert node.process.stdout is not None
    node.process.stdout.close()


def test_killed_node__a_few_rounds_under_load__keeps_every_reported_block(tmp_path: Path) -> None:
    run_rounds(tmp_path / "chain", ROUND_COUNT, seed=1)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_node__a_hundred_rounds_under_load__keeps_every_reported_block(tmp_path: Path) -> None:
    run_rounds(tmp_path / "chain", LONG_ROUND_COUNT, seed=2)


def test_stopped_node__started_again__continues(tmp_path: Path) -> None:
    node = start_node("--data-dir", str(tmp_path / "chain"))
    client = node.client()
    sent = client.send(node.transfer(0, 0))
    head = client.ask("eth_getBlockByNumber", "latest", WHOLE)
    client.close()
    assert node.stop() == 0
    again = start_node("--data-dir", str(tmp_path / "chain"))
    client = again.client()
    assert client.ask("eth_getBlockByNumber", "latest", WHOLE) == head
    assert client.ask("eth_getTransactionReceipt", sent)["blockHash"] == head["hash"]
    client.send(again.transfer(0, 1))
    assert client.ask("eth_blockNumber") == "0x2"
    client.close()
    assert again.stop() == 0
    for process in (node.process, again.process):
        assert process.stdout is not None
        process.stdout.close()
