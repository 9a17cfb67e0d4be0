"""A fork in the engine against the node it was forked from: same blocks, and what is missing is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

import pytest

from metis import engine
from metis.types import (
    Account,
    Address,
    BlockAttributes,
    Gas,
    MissingState,
    NoProof,
    TimestampS,
    UnsignedTransaction,
    Wei,
)
from tests.unit.engine.test_node import ACCOUNTS, CHAIN_ID, GAS_LIMIT, GENESIS, KEYS, build, transfer

T = TypeVar("T")

# Adds the calldata's word to slot 1 and returns the sum.
COUNTER = Address(b"\xc0" * 20)
COUNTER_CODE = bytes.fromhex("600035600154018060015560005260206000f3")
# Returns the hash of the block whose number is the calldata's word.
HASHER = Address(b"\xc1" * 20)
HASHER_CODE = bytes.fromhex("6000354060005260206000f3")
ALLOC = {
    **{account: Account(balance_wei=Wei(10**20)) for account in ACCOUNTS},
    COUNTER: Account(nonce=1, code=COUNTER_CODE, storage={1: 40, 2: 7}),
    HASHER: Account(nonce=1, code=HASHER_CODE),
}


class Upstream:
    """The node that is forked; answers what a fork misses, and counts how often it is asked for each key."""

    def __init__(self, block_count: int = 3) -> None:
        self.node = engine.Node.open(GENESIS, ALLOC)
        for nonce in range(block_count):
            self.node.submit(transfer(0, nonce))
            build(self.node)
        self.number = self.node.head_number
        self.asked: list[object] = []
        self.round_count = 0

    def fork(self) -> engine.Node:
        return engine.Node.open_fork(GENESIS, self.header_json(), {})

    def header_json(self) -> bytes:
        header = self.node.header_json(self.number)
        assert header is not None
        return header

    def answer(self, fork: engine.Node, missing: MissingState) -> None:
        """Give what is missing, as of the fork block."""
        node, number = self.node, self.number
        self.round_count += 1
        self.asked += [*missing.accounts, *missing.slots, *missing.block_numbers]
        hashes = ((found, node.block(found)) for found in missing.block_numbers)
        fork.supply(
            [(at, node.nonce(at, number), node.balance(at, number), node.code(at, number)) for at in missing.accounts],
            [(at, slot, node.storage(at, slot, number)) for at, slot in missing.slots],
            [(found, block.hash) for found, block in hashes if block is not None],
        )

    def ask(self, fork: engine.Node, question: Callable[[], T]) -> T:
        """Ask until nothing is missing."""
        for _ in range(20):
            try:
                return question()
            except MissingState as missing:
                self.answer(fork, missing)
        raise AssertionError("the fork asks for ever")


def call_of(to: Address, word: int) -> UnsignedTransaction:
    data = word.to_bytes(32, "big")
    return UnsignedTransaction(
        sender=ACCOUNTS[0],
        nonce=0,
        gas_limit=Gas(100_000),
        gas_price_wei=Wei(0),
        to=to,
        data=data,
        chain_id=CHAIN_ID,
    )


def add(sender: int, nonce: int, word: int) -> bytes:
    fields = UnsignedTransaction(
        sender=ACCOUNTS[sender],
        nonce=nonce,
        gas_limit=Gas(90_000),
        gas_price_wei=Wei(10**10),
        max_priority_fee_per_gas_wei=Wei(10**9),
        to=COUNTER,
        data=word.to_bytes(32, "big"),
        type=2,
        chain_id=CHAIN_ID,
    )
    return engine.sign_transaction(fields, KEYS[sender])


def test_fork__asked_for_what_it_does_not_know__names_it() -> None:
    upstream = Upstream()
    fork = upstream.fork()
    with pytest.raises(MissingState) as missing:
        fork.balance(ACCOUNTS[0], fork.head_number)
    assert missing.value.accounts == (ACCOUNTS[0],)
    with pytest.raises(MissingState) as missing:
        fork.storage(COUNTER, 2, fork.head_number)
    assert missing.value.slots == ((COUNTER, 2),)
    assert fork.known_of_fork() == {"accounts": 0, "slots": 0, "block_hashes": 0}
    assert upstream.ask(fork, lambda: fork.balance(ACCOUNTS[0], fork.head_number)) == upstream.node.balance(
        ACCOUNTS[0], upstream.number
    )


def test_fork__of_a_call__finds_many_keys_in_one_run() -> None:
    upstream = Upstream()
    fork = upstream.fork()
    with pytest.raises(MissingState) as missing:
        fork.call(call_of(COUNTER, 2), fork.head_number)
    # Sender, receiver, and whoever gets fees: without the code there is no more to be known.
    assert set(missing.value.accounts) == {ACCOUNTS[0], COUNTER, bytes(20)}
    upstream.answer(fork, missing.value)
    with pytest.raises(MissingState) as missing:
        fork.call(call_of(COUNTER, 2), fork.head_number)
    assert missing.value.slots == ((COUNTER, 1),)
    upstream.answer(fork, missing.value)
    done = fork.call(call_of(COUNTER, 2), fork.head_number)
    assert int.from_bytes(done["output"], "big") == 42
    assert done == upstream.node.call(call_of(COUNTER, 2), upstream.number)


def test_fork__building_the_same_blocks__has_their_receipts_and_state() -> None:
    upstream = Upstream()
    fork, node = upstream.fork(), upstream.node
    for round_ in range(3):
        for raw in (transfer(1, 2 * round_), transfer(1, 2 * round_ + 1, value=9), add(0, 3 + round_, round_)):
            node.submit(raw)
            upstream.ask(fork, lambda raw=raw: fork.submit(raw))  # type: ignore[misc]
        attributes = BlockAttributes(timestamp_s=TimestampS(1_000 + round_), gas_limit=GAS_LIMIT)
        node.build(attributes)
        upstream.ask(fork, lambda attributes=attributes: fork.build(attributes))  # type: ignore[misc]
        ours, theirs = (json.loads(found.block_receipts_json(found.head_number) or b"[]") for found in (fork, node))
        for receipt in (*ours, *theirs):
            assert receipt.pop("blockHash") is not None
            for entry in receipt["logs"]:
                del entry["blockHash"]
        assert ours == theirs
    for account in (*ACCOUNTS, COUNTER):
        assert upstream.ask(
            fork,
            lambda account=account: fork.balance(account, fork.head_number),  # type: ignore[misc]
        ) == node.balance(account, node.head_number)
    assert fork.storage(COUNTER, 1, fork.head_number) == 43 == node.storage(COUNTER, 1, node.head_number)
    assert len(upstream.asked) == len(set(upstream.asked)), "a key was asked for twice"


def test_fork__a_build_that_misses_state__has_no_effect() -> None:
    upstream = Upstream()
    fork = upstream.fork()
    upstream.ask(fork, lambda: fork.submit(add(0, 3, 1)))
    before = (fork.head_hash, fork.pool_status())
    attributes = BlockAttributes(timestamp_s=TimestampS(1_000), gas_limit=GAS_LIMIT)
    with pytest.raises(MissingState):
        fork.build(attributes)
    assert (fork.head_hash, fork.pool_status()) == before
    upstream.ask(fork, lambda: fork.build(attributes))
    assert fork.pool_status() == (0, 0)
    fork.truncate(before[0])
    assert fork.head_hash == before[0]
    assert upstream.ask(fork, lambda: fork.storage(COUNTER, 1, fork.head_number)) == 40


def test_fork__of_block_hashes_before_it__asks_for_them_and_knows_its_own() -> None:
    upstream = Upstream()
    fork, node = upstream.fork(), upstream.node
    attributes = BlockAttributes(timestamp_s=TimestampS(1_000), gas_limit=GAS_LIMIT)
    upstream.ask(fork, lambda: fork.build(attributes))
    upstream.ask(fork, lambda: fork.build(BlockAttributes(timestamp_s=TimestampS(1_001), gas_limit=GAS_LIMIT)))

    def hash_of(number: int) -> bytes:
        found: bytes = upstream.ask(fork, lambda: fork.call(call_of(HASHER, number), fork.head_number))["output"]
        return found

    for number in (1, 2):
        block = node.block(number)
        assert block is not None
        assert hash_of(number) == block.hash
        assert number in upstream.asked
    for number in (3, 4):
        block = fork.block(number)
        assert block is not None
        assert hash_of(number) == block.hash
        assert number not in upstream.asked
    assert hash_of(99) == bytes(32)


def test_fork__set_accounts_on_top__keep_the_slots_below() -> None:
    upstream = Upstream()
    over = {COUNTER: Account(nonce=5, code=b"\x00", storage={1: 3})}
    fork = engine.Node.open_fork(GENESIS, upstream.header_json(), over)
    assert fork.nonce(COUNTER, fork.head_number) == 5
    assert fork.code(COUNTER, fork.head_number) == b"\x00"
    assert fork.storage(COUNTER, 1, fork.head_number) == 3
    assert upstream.ask(fork, lambda: fork.storage(COUNTER, 2, fork.head_number)) == 7
    assert fork.is_changed(COUNTER, fork.head_number)
    assert not fork.is_changed(HASHER, fork.head_number)


def test_fork__asked_for_a_proof__says_why_there_is_none() -> None:
    upstream = Upstream()
    fork = upstream.fork()
    with pytest.raises(NoProof) as refused:
        fork.proof_json(COUNTER, [1], fork.head_number)
    assert refused.value.block_number == upstream.number
    assert upstream.node.known_of_fork() is None
