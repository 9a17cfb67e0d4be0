"""
Transactions at the edges of what gas they must and may bring: the calldata floor (EIP-7623), the cap
per transaction (EIP-7825), and refunds between them.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from metis.types import AccessListEntry, Account, UnsignedTransaction
from tests.differential.assembler import assemble, deployer
from tests.differential.case import TransactionsCase
from tests.differential.wallet import make_key, sign_authorization, sign_transaction
from tests.differential.world import SENDERS, address_of, draft, environment_at, funded, signed_case

__all__ = [
    "GAS_LIMIT_CAP",
    "at_cap",
    "floor_gas",
    "intrinsic_gas",
    "random_calldata_case",
    "with_calldata",
]

# SPEC: EIP-7825.
GAS_LIMIT_CAP = 2**24
SPENDER, CLEARER, REVERTER = (address_of(number) for number in (1, 2, 3))
CLEARED_SLOTS = 40
CREATION_GAS = 32_000
BLOB_HASH = b"\x01" + b"\x22" * 31


def intrinsic_gas(transaction: UnsignedTransaction) -> int:
    """What a transaction costs before it runs (EIP-2028, 2930, 3860, 7702), for Prague and later."""
    zeros = transaction.data.count(0)
    gas = 21_000 + 4 * zeros + 16 * (len(transaction.data) - zeros)
    if transaction.to is None:
        gas += CREATION_GAS + 2 * ((len(transaction.data) + 31) // 32)
    gas += sum(2_400 + 1_900 * len(entry.slots) for entry in transaction.access_list)
    return gas + 25_000 * len(transaction.authorization_list)


def floor_gas(transaction: UnsignedTransaction) -> int:
    """The least a transaction pays for its calldata (EIP-7623): 10 gas for each of its tokens."""
    zeros = transaction.data.count(0)
    return 21_000 + 10 * (zeros + 4 * (len(transaction.data) - zeros))


def contracts() -> dict[bytes, Account]:
    """One that spends as many hundred gas as the first calldata byte says, one that earns refunds, one that reverts."""
    loop = assemble(
        *(0, "CALLDATALOAD", 248, "SHR", "JUMPDEST", "DUP1", "ISZERO", 36, "JUMPI"),
        *(1, "SWAP1", "SUB", 0x99, "SLOAD", "POP", 5, "JUMP"),
    )
    loop += b"\x00" * (36 - len(loop)) + assemble("JUMPDEST", "STOP")
    clear = b"".join(assemble(0, slot, "SSTORE") for slot in range(1, CLEARED_SLOTS + 1))
    return {
        SPENDER: Account(code=loop),
        CLEARER: Account(code=clear, storage=dict.fromkeys(range(1, CLEARED_SLOTS + 1), 1)),
        REVERTER: Account(code=assemble(0, 0, "REVERT")),
    }


def with_calldata(to: bytes | None, data: bytes, gas_limit: int, *, fork: str = "Osaka") -> TransactionsCase:
    """One plain transaction with this calldata and gas limit."""
    transaction = draft(to, data=data, gas_limit=gas_limit)
    return signed_case(f"{len(data)} bytes of calldata with {gas_limit} gas", fork, [transaction], contracts())


def at_cap(gas_limit: int, kind: int, *, fork: str = "Osaka") -> TransactionsCase:
    """A transaction of each type with a gas limit around the cap."""
    transaction = draft(SPENDER, kind=kind, gas_limit=gas_limit, data=b"\x03")
    if kind == 3:
        transaction = replace(transaction, blob_versioned_hashes=(BLOB_HASH,))  # type: ignore[arg-type]
    if kind == 4:
        transaction = replace(transaction, authorization_list=(sign_authorization(make_key(300), SPENDER, 0),))
    return signed_case(f"type {kind} with gas limit {gas_limit}", fork, [transaction], contracts())


def random_transaction(random: Random, nonce: int) -> UnsignedTransaction:
    """A transaction whose gas limit is at, near or well above what it must bring."""
    size = random.choice([0, 1, 31, 32, 33, 200, 1_000, 4_000])
    density = random.choice([0.0, 0.1, 0.5, 1.0])
    data = bytes(random.randrange(1, 256) if random.random() < density else 0 for _ in range(size))
    creates = random.randrange(6) == 0
    if creates:
        data = random.choice([deployer(data), data, b"\xfe" + data])
    kind = random.choice([0, 1, 2, 2, 4]) if not creates else random.choice([0, 1, 2])
    entries = [AccessListEntry(address_of(i), tuple(range(random.randrange(4)))) for i in range(random.randrange(3))]
    authorizations = [sign_authorization(make_key(400 + i), SPENDER, 0) for i in range(random.randint(1, 2))]
    transaction = draft(
        None if creates else random.choice([SPENDER, CLEARER, REVERTER, address_of(77)]),
        nonce=nonce,
        kind=kind,
        data=data,
        access_list=entries if kind else (),
        authorizations=authorizations if kind == 4 else (),
        tip_wei=random.choice([0, 1, 3, 10]),
    )
    must = max(intrinsic_gas(transaction), floor_gas(transaction))
    gas_limit = must + random.choice([-1, 0, 0, 1, 2_300, 30_000, 250_000, 400_000])
    return replace(transaction, gas_limit=gas_limit)  # type: ignore[arg-type]


def random_calldata_case(random: Random) -> TransactionsCase:
    """Up to three such transactions in one block; refused ones do not use up their nonce."""
    fork = random.choice(["Cancun", "Prague", "Osaka", "Osaka"])
    transactions = []
    nonce = 0
    for _ in range(random.randint(1, 3)):
        transaction = random_transaction(random, nonce)
        if fork == "Cancun" and transaction.type == 4:
            continue
        transactions.append(sign_transaction(transaction, SENDERS[0]))
        enough = intrinsic_gas(transaction)
        if fork != "Cancun":
            enough = max(enough, floor_gas(transaction))
        nonce += transaction.gas_limit >= enough
    return TransactionsCase("calldata floor", fork, environment_at(fork), funded(contracts()), tuple(transactions))
