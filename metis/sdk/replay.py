"""
Replaying a recorded block: execute it on the state it needs, compare what it logged.

The file is JSON (plain or .xz) with one named test: ``env``, ``transactions`` by position (from 1)
with their senders, ``pre`` (the accounts they touch, with code and storage), ``logs`` by position
(from 0), ``block_hashes``. Only a part of the state is there, so state roots cannot be compared;
logs depend on every storage value and call result on the way to them.
Source of the format: the data of MetisProtocol/metis-sdk's tools.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from metis import engine
from metis.engine import BatchOutcome
from metis.sdk.parts import MemoryStateStore
from metis.types import (
    AccessListEntry,
    Account,
    Address,
    BlockEnvironment,
    BlockNumber,
    FixtureError,
    Gas,
    Hash32,
    Log,
    TimestampS,
    UnsignedTransaction,
)
from metis.types.units import Wei

__all__ = ["LogDifference", "RecordedBlock", "Replay", "load_recorded_block", "replay_block"]


@dataclass(frozen=True, slots=True)
class RecordedBlock:
    """
    A block to replay.

    Attributes
    ----------
    environment : the block.
    transactions : with their senders, unsigned.
    accounts : the state they touch, as it was before the block.
    logs : what each transaction logged on the real chain.
    """

    environment: BlockEnvironment
    transactions: tuple[UnsignedTransaction, ...]
    accounts: Mapping[Address, Account]
    logs: tuple[tuple[Log, ...], ...]


@dataclass(frozen=True, slots=True)
class LogDifference:
    """A log that is not as recorded; None where one side has no such log."""

    transaction_index: int
    log_index: int
    recorded: Log | None
    replayed: Log | None


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay did, and every log that differs from the recording."""

    outcome: BatchOutcome
    differences: tuple[LogDifference, ...]

    @property
    def log_count(self) -> int:
        """Logs of all transactions together."""
        return sum(len(receipt.logs) for receipt in self.outcome.receipts)


def load_recorded_block(path: str | PathLike[str]) -> RecordedBlock:
    """
    Read a recorded block.

    Raises
    ------
    FixtureError : the file does not follow the format.
    OSError : the file cannot be read.
    """
    path = Path(path)
    content = path.read_bytes()
    try:
        if path.suffix == ".xz":
            content = lzma.decompress(content)
        ((_, test),) = json.loads(content).items()
        return _recorded_block(test)
    except (lzma.LZMAError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise FixtureError(str(path), "", f"is not a recorded block: {error!r}") from error


def replay_block(
    recorded: RecordedBlock,
    *,
    fork: str,
    chain_id: int = 1,
    workers: int | None = None,
    keeps_record: bool = False,
) -> Replay:
    """
    Execute a recorded block on a fresh store and compare the logs.

    Parameters
    ----------
    fork : the rules the block ran under, such as "Shanghai".
    workers : threads of the parallel executor; None runs one transaction after the other. The outcome is the same.
    keeps_record : the outcome says also which transaction depends on which.

    Raises
    ------
    InvalidTransaction : a transaction of the recording may not run.
    """
    spec = engine.ChainSpec.at_fork(fork, chain_id)
    store = MemoryStateStore().open(recorded.accounts)
    handles = [engine.unsigned_transaction(transaction) for transaction in recorded.transactions]
    outcome = engine.execute_transactions(
        store, spec, recorded.environment, handles, workers=workers, keeps_record=keeps_record
    )
    return Replay(outcome, tuple(_differences(recorded, outcome)))


def _differences(recorded: RecordedBlock, outcome: BatchOutcome) -> list[LogDifference]:
    differences = []
    for index, (expected, receipt) in enumerate(zip(recorded.logs, outcome.receipts, strict=True)):
        for position in range(max(len(expected), len(receipt.logs))):
            before = expected[position] if position < len(expected) else None
            after = receipt.logs[position] if position < len(receipt.logs) else None
            if before != after:
                differences.append(LogDifference(index, position, before, after))
    return differences


def _recorded_block(test: Mapping[str, Any]) -> RecordedBlock:
    env = test["env"]
    environment = BlockEnvironment(
        number=BlockNumber(env["block_number"]),
        timestamp_s=TimestampS(env["current_timestamp"]),
        beneficiary=Address(_data(env["current_coinbase"])),
        gas_limit=Gas(env["current_gas_limit"]),
        base_fee_per_gas_wei=Wei(env["base_fee_per_gas"]),
        difficulty=_number(env["current_difficulty"]),
        prev_randao=Hash32(_data(env["mix_hash"])),
        block_hashes={int(number): Hash32(_data(value)) for number, value in test["block_hashes"].items()},
    )
    transactions = _in_order(test["transactions"])
    logs = _in_order(test["logs"])
    if len(transactions) != len(logs):
        raise ValueError(f"{len(transactions)} transactions, but logs of {len(logs)}")
    return RecordedBlock(
        environment=environment,
        transactions=tuple(_transaction(fields) for fields in transactions),
        accounts={Address(_data(address)): _account(fields) for address, fields in test["pre"].items()},
        logs=tuple(tuple(_log(fields) for fields in _in_order(entries)) for entries in logs),
    )


def _in_order(entries: Mapping[str, Any]) -> list[Any]:
    return [entries[key] for key in sorted(entries, key=int)]


def _transaction(fields: Mapping[str, Any]) -> UnsignedTransaction:
    tip = fields["max_priority_fee_per_gas"]
    return UnsignedTransaction(
        sender=Address(_data(fields["sender"])),
        nonce=_number(fields["nonce"]),
        gas_limit=Gas(_number(fields["gas_limit"])),
        gas_price_wei=Wei(_number(fields["gas_price"] if tip is None else fields["max_fee_per_gas"])),
        to=Address(_data(fields["to"])) if fields["to"] else None,
        value_wei=Wei(_number(fields["value"])),
        data=_data(fields["data"]),
        type=2 if tip is not None else 1 if fields["access_list"] else 0,
        chain_id=1,
        max_priority_fee_per_gas_wei=None if tip is None else Wei(_number(tip)),
        access_list=tuple(
            AccessListEntry(Address(_data(entry["address"])), tuple(_number(key) for key in entry["storageKeys"]))
            for entry in fields["access_list"]
        ),
    )


def _account(fields: Mapping[str, Any]) -> Account:
    return Account(
        nonce=fields["nonce"],
        balance_wei=Wei(_number(fields["balance"])),
        code=_data(fields["code"]),
        storage={_number(slot): _number(value) for slot, value in fields["storage"].items() if _number(value)},
    )


def _log(fields: Mapping[str, Any]) -> Log:
    topics = tuple(Hash32(_data(topic)) for topic in fields["topics"])
    return Log(Address(_data(fields["address"])), topics, _data(fields["data"]))


def _data(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _number(text: str) -> int:
    return int(text, 16)
