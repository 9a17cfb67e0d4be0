"""
Whole blocks: system contracts, withdrawals, blob gas, base fee, requests, fork changes.

SCENARIOS are named chains of a few blocks; ``random_chain`` mixes them with random contracts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

from metis.types import (
    Account,
    Address,
    BlockAttributes,
    Gas,
    Hash32,
    TimestampS,
    UnsignedTransaction,
    Wei,
    Withdrawal,
)
from tests.differential.assembler import assemble, push, store_top
from tests.differential.bytecode import random_alloc, random_transaction, targets_at
from tests.differential.case import BlockPlan, ChainCase, GenesisPlan
from tests.differential.system_contracts import (
    BEACON_ROOTS,
    CONSOLIDATION_REQUESTS,
    DEPOSITS,
    HISTORY,
    SYSTEM_ALLOC,
    WITHDRAWAL_REQUESTS,
    deposit_event,
)
from tests.differential.wallet import make_key, sign_authorization, sign_transaction
from tests.differential.world import BENEFICIARY, SENDERS, address_of, draft, funded, probe

__all__ = ["REFUSED_PLANS", "SCENARIOS", "random_chain"]

GENESIS_TIME_S = 1_000
SLOT_S = 12
GAS_LIMIT = 30_000_000
GWEI = 10**9
BURNER, ASKER, LOGGER, HASHER = (address_of(number) for number in (11, 12, 13, 14))
BLOB_HASH = b"\x01" + b"\x77" * 31

# All timestamps from which a fork holds, for chains that pass through them.
EVERY_FORK = {
    "Paris": 0,
    **{
        fork: GENESIS_TIME_S + SLOT_S * 2 * number
        for number, fork in enumerate(["Shanghai", "Cancun", "Prague", "Osaka", "BPO1", "BPO2"], start=1)
    },
}


def contracts() -> dict[bytes, Account]:
    """One that burns all its gas, one that asks the system contracts, one that logs, one that reads BLOCKHASH."""
    logs = b"".join(assemble(*(n * 77 + i for i in range(n % 5)), 32 * n, 0, f"LOG{n % 5}") for n in range(9))
    hashes = b"".join(assemble(i, "NUMBER", "SUB", "BLOCKHASH", store_top(i)) for i in range(5))
    return SYSTEM_ALLOC | {
        BURNER: Account(code=assemble("INVALID")),
        ASKER: Account(code=probe(BEACON_ROOTS, gas=100_000)),
        address_of(15): Account(code=probe(HISTORY, gas=100_000)),
        LOGGER: Account(code=logs),
        HASHER: Account(code=hashes),
    }


def plan(number: int, transactions: Sequence[bytes] = (), **attributes: Any) -> BlockPlan:
    """Block ``number`` of a case with a timestamp, a randao and a beacon root of its own."""
    values: dict[str, Any] = {
        "timestamp_s": TimestampS(GENESIS_TIME_S + SLOT_S * number),
        "beneficiary": BENEFICIARY,
        "gas_limit": Gas(GAS_LIMIT),
        "prev_randao": Hash32(bytes([number]) * 32),
        "parent_beacon_block_root": Hash32(bytes([0x40 + number]) * 32),
    }
    return BlockPlan(BlockAttributes(**(values | attributes)), tuple(transactions))


def signed(*transactions: UnsignedTransaction, sender: int = 0, first_nonce: int = 0) -> list[bytes]:
    """Sign in order with the sender's nonces, at a price that survives some full blocks."""
    return [
        sign_transaction(
            replace(item, nonce=first_nonce + i, gas_price_wei=Wei(100 * GWEI)),
            SENDERS[sender],
        )
        for i, item in enumerate(transactions)
    ]


def chain(
    name: str,
    *blocks: BlockPlan,
    fork: str = "Osaka",
    schedule: dict[str, int] | None = None,
    genesis: GenesisPlan | None = None,
    alloc: dict[bytes, Account] | None = None,
) -> ChainCase:
    world = funded(contracts() if alloc is None else alloc)
    return ChainCase(name, schedule or {fork: 0}, world, blocks, genesis or GenesisPlan(gas_limit=GAS_LIMIT))


def withdrawal(index: int, address: bytes, amount_gwei: int) -> Withdrawal:
    return Withdrawal(index, (1_000 + index) % 2**64, Address(address), amount_gwei)


def withdrawals(fork: str) -> ChainCase:
    """To nobody, to a contract, to a precompile, twice to one, zero to nobody, and the largest amount."""
    entries = [
        withdrawal(0, address_of(90), 1),
        withdrawal(1, BURNER, 5),
        withdrawal(2, (1).to_bytes(20, "big"), 7),
        withdrawal(3, address_of(90), 2**32),
        withdrawal(4, address_of(91), 0),
        withdrawal(2**64 - 1, address_of(92), 2**64 - 1),
    ]
    return chain("withdrawals", plan(1, withdrawals=entries), plan(2, withdrawals=entries[:1]), fork=fork)


def every_type(fork: str) -> list[UnsignedTransaction]:
    """One transaction of each type that the fork knows."""
    kinds = [draft(LOGGER, kind=kind, gas_limit=200_000, tip_wei=GWEI) for kind in (0, 1, 2)]
    if fork in {"Cancun", "Prague", "Osaka", "BPO1", "BPO2"}:
        kinds.append(draft(LOGGER, kind=3, gas_limit=200_000, tip_wei=2, blob_hashes=[BLOB_HASH], blob_fee_wei=GWEI))
    if fork in {"Prague", "Osaka", "BPO1", "BPO2"}:
        authorization = sign_authorization(make_key(600), LOGGER, 0)
        kinds.append(draft(make_key(600).address, kind=4, gas_limit=200_000, authorizations=[authorization]))
    return kinds


def all_types(fork: str) -> ChainCase:
    return chain(f"every type at {fork}", plan(1, signed(*every_type(fork))), plan(2), fork=fork)


def withdrawal_request(number: int, fee_wei: int = 1) -> UnsignedTransaction:
    data = bytes([number]) * 48 + number.to_bytes(8, "big")
    return draft(WITHDRAWAL_REQUESTS, data=data, value_wei=fee_wei, gas_limit=300_000)


def consolidation_request(number: int, fee_wei: int = 1) -> UnsignedTransaction:
    data = bytes([number]) * 48 + bytes([number + 1]) * 48
    return draft(CONSOLIDATION_REQUESTS, data=data, value_wei=fee_wei, gas_limit=300_000)


def deposit(number: int) -> UnsignedTransaction:
    return draft(DEPOSITS, data=deposit_event(number), gas_limit=200_000)


def many_requests() -> ChainCase:
    """More than a block may take out of the queues, so that the rest and the fee go to the next."""
    first = signed(*(withdrawal_request(n, 10) for n in range(20)), *(consolidation_request(n, 10) for n in range(4)))
    second = signed(withdrawal_request(30, 1), withdrawal_request(31, 100), consolidation_request(9, 1), first_nonce=24)
    return chain("requests over three blocks", plan(1, first), plan(2, second), plan(3), plan(4))


def all_requests() -> ChainCase:
    items = [deposit(1), withdrawal_request(2), consolidation_request(3), deposit(4), withdrawal_request(5, 0)]
    return chain("requests of every type", plan(1, signed(*items)), plan(2))


def system_questions() -> ChainCase:
    """Contracts that ask for beacon roots and history, right and wrong."""
    blocks = []
    for number in range(1, 5):
        words = [GENESIS_TIME_S + SLOT_S * number, GENESIS_TIME_S + SLOT_S * (number - 1), 0, 5]
        asked = [draft(ASKER, data=word.to_bytes(32, "big"), gas_limit=200_000) for word in words]
        history = [number - 1, number, max(number - 2, 0), number + 1]
        asked += [draft(address_of(15), data=word.to_bytes(32, "big"), gas_limit=200_000) for word in history]
        asked += [draft(HASHER, gas_limit=300_000), draft(ASKER, data=b"\x01", gas_limit=200_000)]
        blocks.append(plan(number, signed(*asked, first_nonce=len(asked) * (number - 1))))
    return chain("questions to the system contracts", *blocks)


def blob(count: int, tip_wei: int = 1) -> UnsignedTransaction:
    hashes = [BLOB_HASH] * count
    return draft(address_of(90), kind=3, gas_limit=21_000, tip_wei=tip_wei, blob_hashes=hashes, blob_fee_wei=GWEI)


def blobs(fork: str, excess: int, base_fee_wei: int) -> ChainCase:
    """Full, half full and empty blocks of blobs; a candidate too many is skipped."""
    most = {"Cancun": 6, "Prague": 9, "Osaka": 9, "BPO1": 15, "BPO2": 21}[fork]
    full = [blob(6)] * (most // 6) + [blob(most % 6)] * (most % 6 > 0)
    first = signed(*full, blob(1))
    second = signed(blob(3), first_nonce=len(full))
    genesis = GenesisPlan(
        gas_limit=GAS_LIMIT, excess_blob_gas=excess, base_fee_per_gas_wei=base_fee_wei, blob_gas_used=131_072 * 4
    )
    return chain(f"blobs at {fork}", plan(1, first), plan(2, second), plan(3), plan(4), fork=fork, genesis=genesis)


def base_fee() -> ChainCase:
    """Full and empty blocks, and a gas limit that moves as fast as it may."""
    burn = draft(BURNER, gas_limit=14_900_000)
    step = GAS_LIMIT // 1024 - 1
    full = [signed(burn, burn, first_nonce=2 * i) for i in range(3)]
    blocks = [plan(1, full[0]), plan(2, full[1], gas_limit=Gas(GAS_LIMIT + step)), plan(3), plan(4, full[2])]
    blocks[2:] = [
        replace(item, attributes=replace(item.attributes, gas_limit=Gas(GAS_LIMIT + step))) for item in blocks[2:]
    ]
    return chain("base fee", *blocks)


def unusable_candidates() -> ChainCase:
    """Nonce gap, no money, price below the base fee, tip above the cap, gas beyond the block, no signature."""
    good = draft(LOGGER, gas_limit=200_000, gas_price_wei=100 * GWEI)
    raws = [
        sign_transaction(replace(good, nonce=5), SENDERS[0]),
        sign_transaction(good, make_key(999)),
        sign_transaction(replace(good, gas_price_wei=Wei(1)), SENDERS[0]),
        sign_transaction(replace(good, type=2, max_priority_fee_per_gas_wei=Wei(101 * GWEI)), SENDERS[0]),
        sign_transaction(replace(good, gas_limit=Gas(2**24 + 1)), SENDERS[0]),
        sign_transaction(good, SENDERS[0], high_s=True),
        sign_transaction(good, SENDERS[0]),
        sign_transaction(good, SENDERS[0]),
        sign_transaction(replace(good, to=BURNER, gas_limit=Gas(16_000_000)), SENDERS[1]),
        sign_transaction(replace(good, to=BURNER, gas_limit=Gas(16_000_000), nonce=1), SENDERS[1]),
        sign_transaction(replace(good, nonce=1), SENDERS[0]),
    ]
    return chain("candidates that cannot be included", plan(1, raws), plan(2))


def through_every_fork() -> ChainCase:
    """Two blocks at each fork since Paris, the second with transactions of every type."""
    blocks = []
    nonce = 0
    for number in range(1, 15):
        here = plan(number, withdrawals=[withdrawal(number, address_of(90), number)])
        fork = chain("", here, schedule=EVERY_FORK).fork_at(here.attributes.timestamp_s)
        if fork == "Paris":
            here = plan(number)
        items = (
            every_type(fork)[:4]
            + [draft(HASHER, gas_limit=300_000), blob(5)][
                : 2 if fork in {"Osaka", "BPO1", "BPO2", "Prague", "Cancun"} else 1
            ]
        )
        blocks.append(replace(here, transactions=tuple(signed(*items, first_nonce=nonce))))
        nonce += len(items)
    return chain("through every fork", *blocks, schedule=EVERY_FORK)


def without(*missing: bytes) -> dict[bytes, Account]:
    return {address: account for address, account in contracts().items() if address not in missing}


def nested_deposit() -> ChainCase:
    """A deposit in an inner call counts; one in a reverted call, and one with another topic, do not."""
    event = deposit_event(7)
    prepared = b"".join(
        assemble(push(int.from_bytes(event[i : i + 32], "big"), 32), push(i, 2), "MSTORE")
        for i in range(0, len(event), 32)
    )
    call_it = assemble(0, 0, len(event), 0, 0, push(int.from_bytes(DEPOSITS, "big"), 20), "GAS", "CALL")
    callers = {
        address_of(20): Account(code=prepared + call_it + b"\x50" + call_it),
        address_of(21): Account(code=prepared + call_it + assemble(0, 0, "REVERT")),
        address_of(22): Account(code=prepared + assemble(5, len(event), 0, "LOG1")),
    }
    items = [draft(address_of(number), gas_limit=400_000) for number in (20, 21, 22)]
    return chain("nested deposits", plan(1, signed(*items)), alloc=contracts() | callers)


SCENARIOS: dict[str, Callable[[], ChainCase]] = {
    "empty blocks": lambda: chain("empty", plan(1), plan(2)),
    **{f"withdrawals at {fork}": partial(withdrawals, fork) for fork in ("Shanghai", "Cancun", "Osaka")},
    **{
        f"every type at {fork}": partial(all_types, fork)
        for fork in ("Paris", "Shanghai", "Cancun", "Prague", "Osaka", "BPO2")
    },
    "many requests": many_requests,
    "requests of every type": all_requests,
    "nested deposits": nested_deposit,
    "questions to the system contracts": system_questions,
    **{f"blobs at {fork}": partial(blobs, fork, 0, GWEI) for fork in ("Cancun", "Prague", "Osaka", "BPO1", "BPO2")},
    "blobs while dear": lambda: blobs("Osaka", 60_000_000, 7),
    "blobs while execution is dear": lambda: blobs("Osaka", 10_000_000, 90 * GWEI),
    "blobs while execution is dear, before Osaka": lambda: blobs("Prague", 10_000_000, 90 * GWEI),
    "base fee": base_fee,
    "candidates that cannot be included": unusable_candidates,
    "through every fork": through_every_fork,
    "32 bytes of extra data": lambda: chain("extra data", plan(1, extra_data=b"x" * 32)),
    "no beacon roots contract": lambda: chain("no 4788", plan(1), alloc=without(BEACON_ROOTS)),
    "no history contract": lambda: chain("no 2935", plan(1), alloc=without(HISTORY)),
    "beneficiary earns nothing": lambda: chain(
        "no tip", plan(1, signed(draft(address_of(90), kind=2, tip_wei=0)), beneficiary=address_of(88))
    ),
    "beneficiary is the sender": lambda: chain(
        "own block", plan(1, signed(draft(LOGGER, kind=2, tip_wei=9)), beneficiary=SENDERS[0].address)
    ),
}

# Plans that break a rule of the block itself: neither side may build them.
REFUSED_PLANS: dict[str, Callable[[], ChainCase]] = {
    "33 bytes of extra data": lambda: chain("long extra data", plan(1, extra_data=b"x" * 33)),
    "timestamp of the parent": lambda: chain("same time", plan(1, timestamp_s=TimestampS(GENESIS_TIME_S))),
    "gas limit grows too fast": lambda: chain("gas limit", plan(1, gas_limit=Gas(GAS_LIMIT + GAS_LIMIT // 1024))),
    "gas limit falls too fast": lambda: chain("gas limit", plan(1, gas_limit=Gas(GAS_LIMIT - GAS_LIMIT // 1024))),
    "gas limit below the minimum": lambda: chain(
        "gas limit", plan(1, gas_limit=Gas(4_999)), genesis=GenesisPlan(gas_limit=5_002)
    ),
    "no withdrawal request contract": lambda: chain("no 7002", plan(1), alloc=without(WITHDRAWAL_REQUESTS)),
    "no consolidation request contract": lambda: chain("no 7251", plan(1), alloc=without(CONSOLIDATION_REQUESTS)),
    "failing request contract": lambda: chain(
        "failing", plan(1), alloc=contracts() | {WITHDRAWAL_REQUESTS: Account(code=assemble("INVALID"))}
    ),
    "deposit event too short": lambda: chain(
        "deposit", plan(1, signed(draft(DEPOSITS, data=b"\x01" * 64, gas_limit=200_000)))
    ),
    "deposit event with a wrong offset": lambda: chain(
        "deposit", plan(1, signed(draft(DEPOSITS, data=b"\x01" + deposit_event(1)[1:], gas_limit=200_000)))
    ),
}


def random_chain(random: Random) -> ChainCase:
    """Up to three blocks of random contracts, requests, blobs and withdrawals, at or through any fork since Paris."""
    forks = list(EVERY_FORK)
    first = random.randrange(len(forks))
    through = forks[first : first + random.choice([1, 1, 2])]
    schedule = {fork: 0 if i == 0 else GENESIS_TIME_S + SLOT_S * 2 for i, fork in enumerate(through)}
    rules = through[0] if not through[0].startswith("BPO") else "Osaka"
    targets = targets_at(rules)
    alloc = contracts() | random_alloc(random, rules, targets)
    nonces = [0] * len(SENDERS)
    blocks = []
    for number in range(1, random.randint(1, 3) + 1):
        raws: list[bytes] = []
        for _ in range(random.randint(0, 4)):
            sender = random.randrange(3)
            special = [
                withdrawal_request(number),
                consolidation_request(number, 3),
                deposit(number),
                blob(2),
                draft(LOGGER),
            ]
            item = random.choice([*special, *[random_transaction(random, rules, 0, targets)] * 5])
            raws += signed(item, sender=sender, first_nonce=nonces[sender])
            nonces[sender] += 1
        paid = [
            withdrawal(number * 8 + i, random.choice(targets), random.randrange(3)) for i in range(random.randrange(3))
        ]
        blocks.append(plan(number, raws, withdrawals=paid if "Paris" not in through else []))
    genesis = GenesisPlan(
        gas_limit=GAS_LIMIT,
        base_fee_per_gas_wei=random.choice([7, GWEI, 20 * GWEI]),
        excess_blob_gas=random.choice([0, 131_072, 30_000_000]),
    )
    return chain("random blocks", *blocks, schedule=schedule, genesis=genesis, alloc=alloc)
