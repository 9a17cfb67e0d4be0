"""A node on MetisDB does what one on plain maps does, and finds its state again after a restart."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metis import engine
from metis.types import (
    Account,
    Address,
    BlockAttributes,
    Gas,
    MetisError,
    TimestampS,
    UnsignedTransaction,
    Wei,
    Withdrawal,
)
from tests.genesis_documents import CANCUN_BLOBS, genesis_json

CHAIN_ID = 78
GAS_LIMIT = Gas(30_000_000)
GENESIS = genesis_json("Cancun", CHAIN_ID, gas_limit=GAS_LIMIT, blobs=CANCUN_BLOBS)
# Adds the call's value to slot NUMBER & 3; with calldata, destroys itself.
COUNTER = bytes.fromhex("36600f57 43600316 8054 3401 9055 00 5b33ff")
PEOPLE = [Address(bytes([0xA0 + index]) * 20) for index in range(4)]
CONTRACTS = [Address(bytes([0xC0 + index]) * 20) for index in range(3)]
EVERYBODY = [*PEOPLE, *CONTRACTS, Address(bytes([0xE0]) * 20)]
KEPT_COUNT = 6


def alloc() -> dict[Address, Account]:
    accounts = {address: Account(balance_wei=Wei(10**21)) for address in PEOPLE}
    accounts |= {address: Account(nonce=1, code=COUNTER, storage={1: 5}) for address in CONTRACTS}
    return accounts


class Rules:
    """Whoever is named may send."""

    unsigned_may_have_code = True
    code_size_bytes_max = None


def open_node(state_store: str, folder: Path | None = None, kept_count: int = KEPT_COUNT) -> engine.Node:
    return engine.Node.open(
        GENESIS, alloc(), folder, "none", kept_count, development=Rules(), workers=1, state_store=state_store
    )


def attributes(node: engine.Node, shift_s: int) -> BlockAttributes:
    parent = json.loads(node.header_json(node.head_hash) or b"null")
    return BlockAttributes(
        timestamp_s=TimestampS(int(parent["timestamp"], 16) + 1 + shift_s),
        gas_limit=GAS_LIMIT,
        withdrawals=(Withdrawal(0, 0, EVERYBODY[-1], 7),),
    )


class Story:
    """Random changes of a node, the same for every node that is told the same seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.blocks: list[Any] = []
        self.snapshots: list[int] = []

    def step(self, node: engine.Node, number: int) -> object:
        """Do one thing. What it answers, or the kind of error that it raises, must be the same anywhere."""
        chance = random.Random(f"{self.seed} {number}")
        kinds: list[tuple[int, Callable[[engine.Node, random.Random], object]]] = [
            (8, self.build),
            (2, self.propose_beside),
            (2, self.patch),
            (1, self.mine_empty),
            (1, self.store_old),
            (2, self.move),
            (1, self.rewind),
            (1, self.snapshot),
            (1, self.revert),
        ]
        weights, acts = zip(*kinds, strict=True)
        act = chance.choices(acts, weights)[0]
        try:
            return act.__name__, act(node, chance)
        except MetisError as refusal:
            return act.__name__, repr(refusal)

    def transactions(self, node: engine.Node, chance: random.Random) -> list[engine.TransactionHandle]:
        nonces = {sender: node.nonce(sender, node.head_hash) for sender in PEOPLE}
        chosen = []
        for _ in range(chance.randrange(6)):
            sender = chance.choice(PEOPLE)
            fields = UnsignedTransaction(
                sender=sender,
                nonce=nonces[sender],
                gas_limit=Gas(200_000),
                gas_price_wei=Wei(10**10),
                to=chance.choice(EVERYBODY[:7]),
                value_wei=Wei(chance.randrange(3)),
                data=bytes([1]) if chance.random() < 0.1 else b"",
                chain_id=CHAIN_ID,
            )
            nonces[sender] += 1
            chosen.append(engine.unsigned_transaction(fields))
        return chosen

    def build(self, node: engine.Node, chance: random.Random) -> object:
        chosen = self.transactions(node, chance)
        built = node.build_from(attributes(node, chance.randrange(3)), chosen)["block"]
        self.blocks.append(built)
        return built.hash

    def propose_beside(self, node: engine.Node, chance: random.Random) -> object:
        proposal = node.propose(attributes(node, 5 + chance.randrange(3)), self.transactions(node, chance))["block"]
        self.blocks.append(proposal)
        return proposal.hash, node.store_block(proposal)

    def store_old(self, node: engine.Node, chance: random.Random) -> object:
        return [node.store_block(block) for block in self.blocks[-chance.randrange(1, 8) :]]

    def patch(self, node: engine.Node, chance: random.Random) -> object:
        address = chance.choice(EVERYBODY)
        if chance.random() < 0.5:
            node.set_account(address, balance_wei=chance.randrange(3), code=COUNTER if chance.random() < 0.3 else None)
        else:
            node.set_storage(address, chance.randrange(4), chance.randrange(3))
        return None

    def mine_empty(self, node: engine.Node, chance: random.Random) -> object:
        return node.mine_empty(attributes(node, 0), chance.randrange(1, 2 * KEPT_COUNT), 3)

    def move(self, node: engine.Node, chance: random.Random) -> object:
        if not self.blocks:
            return None
        node.set_head(chance.choice(self.blocks[-6:]).hash)
        return node.head_hash

    def rewind(self, node: engine.Node, chance: random.Random) -> object:
        return node.rewind(chance.choice([1, 1, 2, 3, 2 * KEPT_COUNT]))

    def snapshot(self, node: engine.Node, _: random.Random) -> object:
        self.snapshots.append(node.take_snapshot())
        return len(self.snapshots)

    def revert(self, node: engine.Node, chance: random.Random) -> object:
        return node.revert(chance.choice(self.snapshots)) if self.snapshots else None


def seen(node: engine.Node, blocks: list[Any]) -> list[object]:
    """Everything about the newest state, and something about others, on the chain and beside it."""
    answers: list[object] = [node.head_hash, node.oldest_state_number, json.loads(node.accounts_json())]
    wanted: list[int | bytes] = [*range(max(0, node.head_number - KEPT_COUNT - 1), node.head_number + 1)]
    wanted += [block.hash for block in blocks[-4:]]
    for block in wanted:
        for address in EVERYBODY:
            try:
                answers.append(json.loads(node.proof_json(address, [0, 1, 2, 3], block)))
            except MetisError as refusal:
                answers.append(repr(refusal))
    return answers


@pytest.mark.parametrize("seed", range(12))
def test_node__on_metisdb__answers_as_one_on_plain_maps(seed: int) -> None:
    plain, metis = Story(seed), Story(seed)
    reference, node = open_node("memory"), open_node("metisdb")
    for number in range(40):
        assert metis.step(node, number) == plain.step(reference, number)
        assert seen(node, metis.blocks) == seen(reference, plain.blocks)


@pytest.mark.parametrize("seed", range(12))
def test_node__on_metisdb_in_a_folder__goes_on_after_restarts_as_one_that_never_stopped(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    plain, metis = Story(seed), Story(seed)
    # All states are kept: how far back each goes after a restart is its own affair.
    reference, node = open_node("memory", None, 10_000), open_node("metisdb", tmp_path, 10_000)
    for number in range(60):
        assert metis.step(node, number) == plain.step(reference, number)
        if chance.random() < 0.2:
            node.checkpoint_if_due(1)
        if chance.random() < 0.2:
            orderly = chance.random() < 0.5
            if orderly:
                node.close()
            del node
            for snapshot in plain.snapshots:
                reference.discard(snapshot)
            plain.snapshots, metis.snapshots = [], []
            node = open_node("metisdb", tmp_path, 10_000)
            replayed_count, problem = node.state_report()
            assert problem is None
            assert replayed_count == 0 or not orderly
            assert seen(node, metis.blocks) == seen(reference, plain.blocks)


@pytest.mark.parametrize("seed", range(12))
def test_node__on_metisdb_that_keeps_little__finds_its_newest_state_after_restarts(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    node, story = open_node("metisdb", tmp_path, 2), Story(seed)
    for number in range(60):
        story.step(node, number)
        if chance.random() < 0.2:
            node.checkpoint_if_due(1)
        if chance.random() < 0.2:
            before = answers_of(node)
            del node
            story.snapshots = []
            node = open_node("metisdb", tmp_path, 2)
            assert answers_of(node) == before


def filled(folder: Path, block_count: int) -> engine.Node:
    node, story = open_node("metisdb", folder), Story(1)
    for number in range(block_count):
        story.build(node, random.Random(number))
    return node


def answers_of(node: engine.Node) -> object:
    return node.head_hash, node.accounts_json(), node.proof_json(CONTRACTS[0], [0, 1, 2, 3], node.head_number)


def test_node__that_was_killed__makes_only_again_what_its_checkpoint_lacks(tmp_path: Path) -> None:
    node = filled(tmp_path, 30)
    assert node.counters()["checkpoint_count"] == 0
    assert node.checkpoint_if_due(30)
    assert not node.checkpoint_if_due(30)
    counters = node.counters()
    assert (counters["checkpoint_count"], counters["checkpoint_number"]) == (1, 30)
    assert 0 < counters["checkpoint_hold_ns_max"] < counters["checkpoint_duration_ns"]
    assert counters["checkpoint_bytes"] > 0
    assert counters["state_bytes"] > counters["state_unsaved_bytes"] == 0
    assert counters["account_read_count"] > 0
    story = Story(2)
    for number in range(7):
        story.build(node, random.Random(number))
    before = answers_of(node)
    # Dropped without closing: as after a kill.
    del node
    node = open_node("metisdb", tmp_path)
    assert node.state_report() == (7, None)
    assert answers_of(node) == before
    node.close()
    assert open_node("metisdb", tmp_path).state_report() == (0, None)


@pytest.mark.parametrize("part", ["state", "codes"])
def test_node__whose_state_is_damaged__makes_it_again_and_keeps_the_damaged_one(part: str, tmp_path: Path) -> None:
    node = filled(tmp_path, 12)
    before = answers_of(node)
    node.close()
    del node
    for copy in range(2):
        file = tmp_path / "state" / part
        content = bytearray(file.read_bytes())
        content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
        file.write_bytes(content)
        node = open_node("metisdb", tmp_path)
        replayed_count, problem = node.state_report()
        assert replayed_count == 12
        assert problem is not None
        assert f"state.damaged-{copy}" in problem
        assert (tmp_path / f"state.damaged-{copy}" / part).read_bytes() == content
        assert answers_of(node) == before
        node.close()
        del node
    node = open_node("metisdb", tmp_path)
    assert node.state_report() == (0, None)
    Story(3).build(node, random.Random(0))


def test_node__whose_state_is_of_another_chain__makes_it_again(tmp_path: Path) -> None:
    node = filled(tmp_path / "one", 9)
    before = answers_of(node)
    node.close()
    other = open_node("metisdb", tmp_path / "other")
    Story(5).patch(other, random.Random(0))
    for number in range(3):
        Story(4).build(other, random.Random(number + 100))
    other.close()
    del node, other
    (tmp_path / "one" / "state").rename(tmp_path / "gone")
    (tmp_path / "other" / "state").rename(tmp_path / "one" / "state")
    node = open_node("metisdb", tmp_path / "one")
    assert answers_of(node) == before
    node.close()
    del node
    node = open_node("metisdb", tmp_path / "one")
    assert node.state_report() == (0, None)
    assert answers_of(node) == before


def test_node__without_its_state__makes_it_again(tmp_path: Path) -> None:
    node = filled(tmp_path, 9)
    before = answers_of(node)
    node.close()
    del node
    (tmp_path / "state").rename(tmp_path / "gone")
    node = open_node("metisdb", tmp_path)
    assert node.state_report() == (9, None)
    assert answers_of(node) == before
