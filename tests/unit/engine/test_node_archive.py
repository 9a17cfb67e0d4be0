"""A node that archives: states that left the window are read from files, also after restarts and rollbacks."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from metis import engine
from metis.engine import inspect_database, prune_database
from metis.types import StateUnavailable
from tests.unit.engine.test_node_state import CONTRACTS, EVERYBODY, GENESIS, Rules, Story, alloc

KEPT_COUNT = 3


def open_node(state_store: str, folder: Path | None = None, history: str = "archive") -> engine.Node:
    return engine.Node.open(
        GENESIS,
        alloc(),
        folder,
        "none",
        KEPT_COUNT,
        development=Rules(),
        workers=1,
        state_store=state_store,
        history=history,
    )


def seen(node: engine.Node) -> list[object]:
    """Something about the state of every block, with proofs."""
    answers: list[object] = [node.head_hash, node.oldest_state_number]
    for number in range(node.head_number + 1):
        answers += [(node.balance(address, number), node.nonce(address, number)) for address in EVERYBODY]
        answers += [node.storage(address, slot, number) for address in CONTRACTS for slot in range(4)]
        answers.append(json.loads(node.proof_json(CONTRACTS[0], [0, 1], number)))
    return answers


@pytest.mark.parametrize("seed", range(8))
def test_node__that_archives__reads_every_block_as_one_that_keeps_all_in_memory(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    plain, archive = Story(seed), Story(seed)
    reference, node = open_node("memory"), open_node("metisdb", tmp_path)
    for number in range(60):
        assert archive.step(node, number) == plain.step(reference, number)
        if chance.random() < 0.3:
            node.checkpoint_if_due(1)
        if chance.random() < 0.15:
            del node
            for snapshot in plain.snapshots:
                reference.discard(snapshot)
            plain.snapshots, archive.snapshots = [], []
            node = open_node("metisdb", tmp_path)
        if number % 5 == 0:
            assert seen(node) == seen(reference)
    node.close()
    report = inspect_database(str(tmp_path / "state"), verify=True)
    assert report["damage"] == []
    assert report["archive"] is not None


def archived(folder: Path, block_count: int) -> list[object]:
    node, story = open_node("metisdb", folder), Story(1)
    for number in range(block_count):
        story.build(node, random.Random(number))
        node.checkpoint_if_due(7)
    before = seen(node)
    node.close()
    return before


def test_node__without_its_archive__makes_it_again_from_the_blocks(tmp_path: Path) -> None:
    before = archived(tmp_path, 25)
    (tmp_path / "state").rename(tmp_path / "gone")
    node = open_node("metisdb", tmp_path)
    assert node.state_report() == (25, None)
    assert seen(node) == before


def test_node__opened_without_the_setting__keeps_the_archive_that_is_there(tmp_path: Path) -> None:
    before = archived(tmp_path, 25)
    assert seen(open_node("metisdb", tmp_path, "window")) == before


def test_node__whose_archive_was_pruned__answers_from_that_block_on(tmp_path: Path) -> None:
    archived(tmp_path, 25)
    report = prune_database(str(tmp_path / "state"), KEPT_COUNT, 10)
    assert (report["state_count_before"], report["state_count"]) == (26, 16)
    node = open_node("metisdb", tmp_path)
    assert node.oldest_state_number == 10
    assert node.balance(EVERYBODY[-1], 10) == 70 * 10**9
    with pytest.raises(StateUnavailable):
        node.balance(EVERYBODY[-1], 9)
