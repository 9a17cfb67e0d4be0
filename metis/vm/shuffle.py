"""
State tests shuffled into blocks of many transactions: worlds that nobody would think of.

A state test is one transaction in a world of its own. Here a block takes 16 to 200 of them, of one fork, and their
worlds become one. Nobody recorded what comes of that, so the blocks are for comparing: running them in any way must
give what running them in order gives.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

from metis import engine
from metis.types import Account, Address, BlockEnvironment, DecodeError, FixtureError, Gas, UnsignedTransaction, Wei
from metis.vm.beginning import BlobSchedule
from metis.vm.case import CaseRunner
from metis.vm.fields import MalformedField
from metis.vm.fixtures import FixtureFile, read_fixture
from metis.vm.forks import canonical_fork, fork_reached, spec_at
from metis.vm.statetest import StateCase, StateTest, parse_state_tests
from metis.vm.template import unsigned_transaction

__all__ = ["ShuffledBlock", "shuffled_blocks"]

TRANSACTION_COUNT_MIN = 16
TRANSACTION_COUNT_MAX = 200

GAS_LIMIT_MAX = 4_000_000
"""Of a transaction: a loop of one test meets the endless gas of another."""

OWN_SENDER_SHARE = 0.7
"""Nearly all tests have the same sender; with it alone, a block would be one chain."""

NONCE_KEPT_SHARE = 0.02
"""Of shared senders' transactions: a nonce that was right in the test is a gap or a duplicate here."""

NONCE_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class ShuffledBlock:
    """
    A block's transactions and what they run on.

    Attributes
    ----------
    number : position among the blocks of its seed.
    fork : the engine's name of it.
    transactions : in order; some may not be in any block.
    dropped_count : cases whose fields make no transaction at all.
    """

    number: int
    fork: str
    store: engine.MemoryStore
    spec: engine.ChainSpec
    environment: BlockEnvironment
    transactions: tuple[engine.TransactionHandle, ...]
    dropped_count: int


_Entry: TypeAlias = tuple[StateTest, StateCase]
_Group: TypeAlias = tuple[str, int, BlobSchedule | None]


def shuffled_blocks(files: Sequence[FixtureFile], seed: int) -> Iterator[ShuffledBlock]:
    """
    Put every case of the files into one block.

    The same files and seed give the same blocks. Left out are forks before Byzantium, whose receipts hold the state's
    root after each transaction, and forks that the engine does not have.

    Raises
    ------
    FixtureError : a file or a test in it cannot be read.
    """
    groups: dict[_Group, list[_Entry]] = {}
    for file in files:
        for test in parse_state_tests(file.path, read_fixture(file)):
            if isinstance(test, FixtureError):
                raise test
            for case in test.cases:
                fork = canonical_fork(case.fork)
                if fork is not None and fork_reached(fork, "Byzantium"):
                    group = fork, test.chain_id, test.blob_schedules.get(case.fork)
                    groups.setdefault(group, []).append((test, case))
    number = 0
    for (fork, chain_id, blob_schedule), entries in groups.items():
        dice = random.Random(f"{seed} {fork} {chain_id}")  # noqa: S311 - what it says must be said again
        dice.shuffle(entries)
        for begin, end in pairwise(_cuts(dice, len(entries))):
            spec = spec_at(fork, chain_id, blob_schedule)
            yield _block(dice, number, fork, spec, entries[begin:end])
            number += 1


def _cuts(dice: random.Random, count: int) -> list[int]:
    """Where blocks begin and end; the last one may be smaller than the least."""
    cuts = [0]
    while cuts[-1] < count:
        cuts.append(min(count, cuts[-1] + dice.randint(TRANSACTION_COUNT_MIN, TRANSACTION_COUNT_MAX)))
    return cuts


def _block(
    dice: random.Random, number: int, fork: str, spec: engine.ChainSpec, entries: Sequence[_Entry]
) -> ShuffledBlock:
    world = _merged(dice, entries)
    transactions: list[UnsignedTransaction] = []
    nonces: dict[Address, int] = {}
    dropped_count = 0
    for test, case in entries:
        try:
            transaction = unsigned_transaction(test, case)
        except MalformedField:
            dropped_count += 1
            continue
        transaction = replace(transaction, gas_limit=Gas(min(transaction.gas_limit, GAS_LIMIT_MAX)))
        if case.expected_exception is not None or dice.random() < OWN_SENDER_SHARE:
            sender = Address(dice.randbytes(20))
            world[sender] = test.alloc.get(transaction.sender, Account())
            transaction = replace(transaction, sender=sender)
        elif dice.random() >= NONCE_KEPT_SHARE:
            sender = transaction.sender
            nonce = nonces.get(sender, world[sender].nonce if sender in world else 0)
            nonces[sender] = min(nonce + 1, NONCE_MAX)
            transaction = replace(transaction, nonce=nonce)
        transactions.append(transaction)
    handles = []
    for transaction in transactions:
        try:
            handles.append(engine.unsigned_transaction(transaction))
        except DecodeError:
            dropped_count += 1
    environment = _environment(dice, fork, entries, transactions)
    return ShuffledBlock(number, fork, engine.MemoryStore(world), spec, environment, tuple(handles), dropped_count)


def _merged(dice: random.Random, entries: Sequence[_Entry]) -> dict[bytes, Account]:
    """One world of many; what is in several of them is as in the first, in the last, or in any."""
    keeps_share = dice.choice((0.0, 0.5, 1.0))
    world: dict[bytes, Account] = {}
    for test, _ in entries:
        for address, account in test.alloc.items():
            if address not in world or dice.random() >= keeps_share:
                world[address] = account
    return world


def _environment(
    dice: random.Random, fork: str, entries: Sequence[_Entry], transactions: Sequence[UnsignedTransaction]
) -> BlockEnvironment:
    """One case's block, with the least base fee of all, and gas for all or (sometimes) half of them."""
    environments = [CaseRunner(test).environment(fork) for test, _ in entries]
    environment = dice.choice(environments)
    gas_limit = sum(transaction.gas_limit for transaction in transactions)
    beneficiary = environment.beneficiary
    if transactions and dice.random() < 0.2:
        chosen = dice.choice(transactions)
        beneficiary = chosen.to if chosen.to is not None and dice.random() < 0.5 else chosen.sender
    return replace(
        environment,
        beneficiary=beneficiary,
        base_fee_per_gas_wei=Wei(min(each.base_fee_per_gas_wei for each in environments)),
        gas_limit=Gas(gas_limit // 2 if dice.random() < 0.2 else gas_limit),
    )
