"""The stage that cases play on: funded senders, an environment per fork, probe contracts, plain calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from metis.types import (
    AccessListEntry,
    Account,
    Address,
    Authorization,
    BlockEnvironment,
    BlockNumber,
    Gas,
    Hash32,
    TimestampS,
    UnsignedTransaction,
    Wei,
)
from tests.differential.assembler import assemble, call, store_top
from tests.differential.case import CHAIN_ID, TransactionsCase, ancestor_hashes
from tests.differential.wallet import Key, make_key, sign_transaction

__all__ = [
    "BASE_FEE_WEI",
    "BENEFICIARY",
    "FORKS",
    "PROBE_OVERHEAD_GAS",
    "SENDERS",
    "address_of",
    "draft",
    "environment_at",
    "funded",
    "is_since",
    "probe",
    "signed_case",
]

FORKS = [
    "Frontier",
    "Homestead",
    "TangerineWhistle",
    "SpuriousDragon",
    "Byzantium",
    "Petersburg",
    "Istanbul",
    "Berlin",
    "London",
    "Paris",
    "Shanghai",
    "Cancun",
    "Prague",
    "Osaka",
]

SENDERS: tuple[Key, ...] = tuple(make_key(number) for number in range(4))
ETHER = 10**18
BASE_FEE_WEI = 7
GAS_PRICE_WEI = 10
BENEFICIARY = Address(bytes.fromhex("00000000000000000000000000000000c0ffee00"))
BLOCK_NUMBER = 20
BLOCK_GAS_LIMIT = 60_000_000


# What a probe measures besides the callee, since Berlin, with CALL, a stated gas and a warm callee:
# six pushes and CALLDATASIZE, the call itself, and the second GAS.
PROBE_OVERHEAD_GAS = 6 * 3 + 2 + 100 + 2


def is_since(fork: str, first: str) -> bool:
    """Whether ``fork`` is ``first`` or later."""
    return FORKS.index(fork) >= FORKS.index(first)


def address_of(number: int) -> Address:
    """An address for a contract of a case; recognisable, and no precompile's."""
    return Address(b"\xc0" * 16 + number.to_bytes(4, "big"))


def environment_at(
    fork: str, *, gas_limit: int = BLOCK_GAS_LIMIT, excess_blob_gas: int = 0, number: int = BLOCK_NUMBER
) -> BlockEnvironment:
    """A block environment in which a transaction of ``draft`` can pay."""
    return BlockEnvironment(
        number=BlockNumber(number),
        timestamp_s=TimestampS(1_700_000_000),
        beneficiary=BENEFICIARY,
        gas_limit=Gas(gas_limit),
        base_fee_per_gas_wei=Wei(BASE_FEE_WEI if is_since(fork, "London") else 0),
        difficulty=0 if is_since(fork, "Paris") else 0x20000,
        prev_randao=Hash32(b"\x5a" * 32 if is_since(fork, "Paris") else bytes(32)),
        excess_blob_gas=Gas(excess_blob_gas) if is_since(fork, "Cancun") else None,
        block_hashes=ancestor_hashes(number),
    )


def funded(
    contracts: Mapping[bytes, Account] | None = None, *, balance_wei: int = 1000 * ETHER
) -> dict[bytes, Account]:
    """The senders with money, and ``contracts``."""
    alloc: dict[bytes, Account] = {key.address: Account(balance_wei=Wei(balance_wei)) for key in SENDERS}
    return alloc | dict(contracts or {})


def draft(
    to: bytes | None,
    *,
    nonce: int = 0,
    gas_limit: int = 1_000_000,
    data: bytes = b"",
    value_wei: int = 0,
    kind: int = 0,
    gas_price_wei: int = GAS_PRICE_WEI,
    tip_wei: int = 1,
    chain_id: int | None = CHAIN_ID,
    access_list: Sequence[AccessListEntry] = (),
    authorizations: Sequence[Authorization] = (),
    blob_hashes: Sequence[bytes] = (),
    blob_fee_wei: int = 10,
) -> UnsignedTransaction:
    """A transaction of type ``kind`` with defaults that make it acceptable."""
    return UnsignedTransaction(
        sender=Address(bytes(20)),
        nonce=nonce,
        gas_limit=Gas(gas_limit),
        gas_price_wei=Wei(gas_price_wei),
        to=None if to is None else Address(to),
        value_wei=Wei(value_wei),
        data=data,
        type=kind,
        chain_id=chain_id,
        max_priority_fee_per_gas_wei=Wei(tip_wei) if kind >= 2 else None,
        access_list=tuple(access_list),
        max_fee_per_blob_gas_wei=Wei(blob_fee_wei) if kind == 3 else None,
        blob_versioned_hashes=tuple(Hash32(item) for item in blob_hashes),
        authorization_list=tuple(authorizations),
    )


def signed_case(
    name: str,
    fork: str,
    transactions: Sequence[UnsignedTransaction],
    contracts: Mapping[bytes, Account] | None = None,
    *,
    sender: Key = SENDERS[0],
    environment: BlockEnvironment | None = None,
) -> TransactionsCase:
    """A case whose transactions all come from ``sender``."""
    # EIP-155 came with Spurious Dragon.
    if not is_since(fork, "SpuriousDragon"):
        transactions = [replace(item, chain_id=None) for item in transactions]
    return TransactionsCase(
        name=name,
        fork=fork,
        environment=environment or environment_at(fork),
        alloc=funded(contracts),
        transactions=tuple(sign_transaction(item, sender) for item in transactions),
    )


def probe(target: bytes, *, kind: str = "CALL", gas: int | None = None, value_wei: int = 0) -> bytes:
    """
    Code that calls ``target`` with its own calldata and writes down all it can see.

    Storage: 0 success + 1, 1 gas the call cost, 2 size of the returned data, 3 its hash. The returned
    data is logged too. Byzantium or later (it copies returned data).
    """
    observed = call(kind, target, gas=gas, value_wei=value_wei, arguments=(0, 0))
    # The argument size is only known at run time: replace the constant by CALLDATASIZE.
    observed = observed.replace(assemble(0, 0, 0, 0), assemble(0, 0, "CALLDATASIZE", 0), 1)
    return assemble(
        *("CALLDATASIZE", 0, 0, "CALLDATACOPY"),
        "GAS",
        observed,
        *("GAS", "SWAP1", 1, "ADD", store_top(0)),
        *("SWAP1", "SUB", store_top(1)),
        *("RETURNDATASIZE", store_top(2)),
        *("RETURNDATASIZE", 0, 0, "RETURNDATACOPY"),
        *("RETURNDATASIZE", 0, "KECCAK256", store_top(3)),
        *("RETURNDATASIZE", 0, "LOG0"),
        "STOP",
    )
