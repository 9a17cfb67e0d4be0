"""
Cases: everything two implementations need to run the same thing, and nothing else.

A case is a value that is written as JSON and read back equal, so that a difference that a test
prints can be replayed: ``python -m tests.differential.replay case.json``. The JSON of a case is also
the request that the oracle understands. Integers and bytes are hexadecimal text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metis.types import (
    Account,
    Address,
    BlockAttributes,
    BlockEnvironment,
    BlockNumber,
    Gas,
    Hash32,
    TimestampS,
    Wei,
    Withdrawal,
)

__all__ = ["BlockPlan", "ChainCase", "GenesisPlan", "TransactionsCase", "ancestor_hashes", "read_case"]

BLOCK_HASH_WINDOW = 256
CHAIN_ID = 1


@dataclass(frozen=True, slots=True)
class TransactionsCase:
    """
    Transactions one after the other on one state, as one block without system calls or rewards.

    Attributes
    ----------
    name : what the case is about, for people.
    fork : rules, by the names in tests/differential/oracle_spec.py.
    transactions : signed and encoded; some may be ones that must be refused.
    """

    name: str
    fork: str
    environment: BlockEnvironment
    alloc: Mapping[bytes, Account]
    transactions: tuple[bytes, ...]
    chain_id: int = CHAIN_ID

    def to_request(self) -> dict[str, Any]:
        """The case as JSON values."""
        environment = self.environment
        excess = environment.excess_blob_gas
        return {
            "op": "transactions",
            "name": self.name,
            "fork": self.fork,
            "chain_id": hex(self.chain_id),
            "environment": {
                "number": hex(environment.number),
                "timestamp_s": hex(environment.timestamp_s),
                "beneficiary": hexed(environment.beneficiary),
                "gas_limit": hex(environment.gas_limit),
                "base_fee_per_gas_wei": hex(environment.base_fee_per_gas_wei),
                "difficulty": hex(environment.difficulty),
                "prev_randao": hexed(environment.prev_randao),
                "excess_blob_gas": None if excess is None else hex(excess),
                "parent_beacon_block_root": hexed(bytes(32)),
                "block_hashes": [hexed(environment.block_hashes[n]) for n in sorted(environment.block_hashes)],
            },
            "alloc": alloc_to_json(self.alloc),
            "transactions": [hexed(raw) for raw in self.transactions],
        }

    @staticmethod
    def from_request(request: dict[str, Any]) -> TransactionsCase:
        """The inverse of ``to_request``."""
        fields = request["environment"]
        number = int(fields["number"], 16)
        first = number - len(fields["block_hashes"])
        excess = fields["excess_blob_gas"]
        environment = BlockEnvironment(
            number=BlockNumber(number),
            timestamp_s=TimestampS(int(fields["timestamp_s"], 16)),
            beneficiary=Address(unhex(fields["beneficiary"])),
            gas_limit=Gas(int(fields["gas_limit"], 16)),
            base_fee_per_gas_wei=Wei(int(fields["base_fee_per_gas_wei"], 16)),
            difficulty=int(fields["difficulty"], 16),
            prev_randao=Hash32(unhex(fields["prev_randao"])),
            excess_blob_gas=None if excess is None else Gas(int(excess, 16)),
            block_hashes={first + i: Hash32(unhex(item)) for i, item in enumerate(fields["block_hashes"])},
        )
        return TransactionsCase(
            name=request["name"],
            fork=request["fork"],
            environment=environment,
            alloc=alloc_from_json(request["alloc"]),
            transactions=tuple(unhex(raw) for raw in request["transactions"]),
            chain_id=int(request["chain_id"], 16),
        )


@dataclass(frozen=True, slots=True)
class GenesisPlan:
    """What the genesis header says; both sides derive the rest. Blob gas matters since Cancun."""

    timestamp_s: int = 1_000
    gas_limit: int = 30_000_000
    base_fee_per_gas_wei: int = 1_000_000_000
    blob_gas_used: int = 0
    excess_blob_gas: int = 0


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """A block before it is built: the builder's attributes and candidate transactions."""

    attributes: BlockAttributes
    transactions: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainCase:
    """
    A genesis and the blocks to build on it, one after the other.

    Attributes
    ----------
    schedule : fork → timestamp in seconds from which its rules hold; the oldest entry is the
        genesis' fork. Forks older than that hold from block 0. Paris or later.
    """

    name: str
    schedule: Mapping[str, int]
    alloc: Mapping[bytes, Account]
    blocks: tuple[BlockPlan, ...]
    genesis: GenesisPlan = field(default_factory=GenesisPlan)
    chain_id: int = CHAIN_ID

    def fork_at(self, timestamp_s: int) -> str:
        """Name of the newest fork that holds at ``timestamp_s``."""
        return [fork for fork, start_s in self.schedule.items() if start_s <= timestamp_s][-1]

    def to_request(self) -> dict[str, Any]:
        """The case as JSON values."""
        genesis = self.genesis
        return {
            "op": "chain",
            "name": self.name,
            "chain_id": hex(self.chain_id),
            "schedule": dict(self.schedule),
            "alloc": alloc_to_json(self.alloc),
            "genesis": {
                "fork": self.fork_at(genesis.timestamp_s),
                "timestamp_s": hex(genesis.timestamp_s),
                "gas_limit": hex(genesis.gas_limit),
                "base_fee_per_gas_wei": hex(genesis.base_fee_per_gas_wei),
                "blob_gas_used": hex(genesis.blob_gas_used),
                "excess_blob_gas": hex(genesis.excess_blob_gas),
            },
            "blocks": [
                {
                    "fork": self.fork_at(plan.attributes.timestamp_s),
                    "timestamp_s": hex(plan.attributes.timestamp_s),
                    "beneficiary": hexed(plan.attributes.beneficiary),
                    "gas_limit": hex(plan.attributes.gas_limit),
                    "prev_randao": hexed(plan.attributes.prev_randao),
                    "extra_data": hexed(plan.attributes.extra_data),
                    "parent_beacon_block_root": hexed(plan.attributes.parent_beacon_block_root),
                    "withdrawals": [
                        [hex(item.index), hex(item.validator_index), hexed(item.address), hex(item.amount_gwei)]
                        for item in plan.attributes.withdrawals
                    ],
                    "transactions": [hexed(raw) for raw in plan.transactions],
                }
                for plan in self.blocks
            ],
        }

    @staticmethod
    def from_request(request: dict[str, Any]) -> ChainCase:
        """The inverse of ``to_request``."""
        numbers = {key: int(text, 16) for key, text in request["genesis"].items() if key != "fork"}
        return ChainCase(
            name=request["name"],
            schedule=request["schedule"],
            alloc=alloc_from_json(request["alloc"]),
            blocks=tuple(block_plan(block) for block in request["blocks"]),
            genesis=GenesisPlan(**numbers),
            chain_id=int(request["chain_id"], 16),
        )


def block_plan(block: dict[str, Any]) -> BlockPlan:
    withdrawals = tuple(
        Withdrawal(int(index, 16), int(validator, 16), Address(unhex(address)), int(amount_gwei, 16))
        for index, validator, address, amount_gwei in block["withdrawals"]
    )
    attributes = BlockAttributes(
        timestamp_s=TimestampS(int(block["timestamp_s"], 16)),
        beneficiary=Address(unhex(block["beneficiary"])),
        gas_limit=Gas(int(block["gas_limit"], 16)),
        prev_randao=Hash32(unhex(block["prev_randao"])),
        extra_data=unhex(block["extra_data"]),
        parent_beacon_block_root=Hash32(unhex(block["parent_beacon_block_root"])),
        withdrawals=withdrawals,
    )
    return BlockPlan(attributes, tuple(unhex(raw) for raw in block["transactions"]))


def read_case(text: str) -> TransactionsCase | ChainCase:
    """A case from its JSON."""
    request = json.loads(text)
    if request["op"] == "transactions":
        return TransactionsCase.from_request(request)
    return ChainCase.from_request(request)


def ancestor_hashes(number: int) -> dict[int, Hash32]:
    """Made-up hashes of all ancestors that BLOCKHASH may ask for in block ``number``."""
    first = max(0, number - BLOCK_HASH_WINDOW)
    return {n: Hash32(b"\xab" * 24 + n.to_bytes(8, "big")) for n in range(first, number)}


def alloc_to_json(alloc: Mapping[bytes, Account]) -> dict[str, Any]:
    return {
        hexed(address): {
            "nonce": hex(account.nonce),
            "balance": hex(account.balance_wei),
            "code": hexed(account.code),
            "storage": {hex(slot): hex(value) for slot, value in sorted(account.storage.items())},
        }
        for address, account in sorted(alloc.items())
    }


def alloc_from_json(alloc: dict[str, Any]) -> dict[bytes, Account]:
    return {
        unhex(address): Account(
            nonce=int(account["nonce"], 16),
            balance_wei=Wei(int(account["balance"], 16)),
            code=unhex(account["code"]),
            storage={int(slot, 16): int(value, 16) for slot, value in account["storage"].items()},
        )
        for address, account in alloc.items()
    }


def hexed(value: bytes) -> str:
    return "0x" + value.hex()


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
