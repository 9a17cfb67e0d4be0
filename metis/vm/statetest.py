"""
One Ethereum state-test file: its JSON as typed tests and cases.

A test is a pre-state, a block environment and a transaction template with lists of data, gas
limits and values; ``post`` holds, per fork, the expected result for some combinations of them: the
cases. Read are the files of ethereum/tests and ethereum/legacytests (Frontier to Cancun) and of
execution-spec-tests (``config`` with chain id and blob schedule, authorization lists).

Source: https://ethereum-tests.readthedocs.io, "State Tests"; https://eest.ethereum.org, "State Test".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from metis.types import Account, BlockEnvironment, BlockNumber, FixtureError, Gas, Hash32, TimestampS, Wei
from metis.vm.beginning import BlobSchedule, alloc_of, blob_schedules_of, chain_id_of, tests_of
from metis.vm.fields import (
    MalformedField,
    address_field,
    bytes_field,
    hash_field,
    list_field,
    object_field,
    quantity_field,
)

__all__ = ["StateCase", "StateTest", "parse_state_tests"]

BASE_FEE_DEFAULT_WEI = 10
"""For a test without ``currentBaseFee``: what ethereum/tests' own filler assumes."""


@dataclass(frozen=True, slots=True)
class StateCase:
    """
    One expected result: which transaction, under which fork, ends in which state.

    Attributes
    ----------
    fork : name as the file spells it.
    index : position in the fork's list of the file.
    data_index, gas_index, value_index : which entries of the template's lists are used.
    state_root, logs_hash : expected after the transaction, or after its refusal.
    expected_exception : name of the expected refusal (alternatives separated by "|"), or None.
    transaction_rlp : the signed transaction, or None where the file has fields only.
    """

    fork: str
    index: int
    data_index: int
    gas_index: int
    value_index: int
    state_root: Hash32
    logs_hash: Hash32
    expected_exception: str | None
    transaction_rlp: bytes | None


@dataclass(frozen=True, slots=True)
class StateTest:
    """
    One named test of a file.

    Attributes
    ----------
    path, name : the file as reports name it, and the key in it.
    environment : the block; ``excess_blob_gas`` is None where the file has none.
    alloc : the state before, by address.
    transaction : the template, as the file has it: most cases carry signed bytes, so its fields are
        read only where they are needed (metis.vm.case).
    chain_id : 1 unless the file says otherwise.
    blob_schedules : fork name → blob limits that the file brings.
    is_from_execution_spec_tests : whether its filler wrote the file (with a ``config``); fillers differ
        in what a refused transaction leaves behind before Spurious Dragon.
    cases : expected results, in the file's order.
    """

    path: str
    name: str
    environment: BlockEnvironment
    alloc: Mapping[bytes, Account]
    transaction: Mapping[str, Any]
    chain_id: int
    blob_schedules: Mapping[str, BlobSchedule]
    is_from_execution_spec_tests: bool
    cases: tuple[StateCase, ...]

    def case_id(self, case: StateCase) -> str:
        """``file::test::fork::data_gas_value``, unique within a run."""
        return f"{self.path}::{self.name}::{case.fork}::{case.data_index}_{case.gas_index}_{case.value_index}"


def parse_state_tests(path: str, content: bytes) -> Iterator[StateTest | FixtureError]:
    """
    Read one file's tests, in the file's order.

    A test that does not follow the format arrives as a FixtureError that names it, so that the
    file's other tests still run.

    Raises
    ------
    FixtureError : the whole file is not JSON, or not an object of tests.
    """
    return tests_of(path, content, _test)


def _test(path: str, name: str, body: Mapping[str, Any]) -> StateTest:
    transaction = object_field(body, "transaction")
    config = object_field(body, "config") if "config" in body else {}
    return StateTest(
        path=path,
        name=name,
        environment=_environment(object_field(body, "env")),
        alloc=alloc_of(object_field(body, "pre")),
        transaction=transaction,
        chain_id=chain_id_of(config),
        blob_schedules=blob_schedules_of(config),
        is_from_execution_spec_tests="config" in body,
        cases=tuple(_cases(object_field(body, "post"), transaction)),
    )


def _environment(env: Mapping[str, Any]) -> BlockEnvironment:
    difficulty = quantity_field(env, "currentDifficulty", default=0)
    return BlockEnvironment(
        number=BlockNumber(quantity_field(env, "currentNumber", bits=64)),
        timestamp_s=TimestampS(quantity_field(env, "currentTimestamp", bits=64)),
        beneficiary=address_field(env, "currentCoinbase"),
        gas_limit=Gas(quantity_field(env, "currentGasLimit", bits=64)),
        base_fee_per_gas_wei=Wei(quantity_field(env, "currentBaseFee", default=BASE_FEE_DEFAULT_WEI)),
        difficulty=difficulty,
        # Fillers before the merge had one field for both; they put the random value in difficulty.
        prev_randao=Hash32(quantity_field(env, "currentRandom", default=difficulty).to_bytes(32, "big")),
        excess_blob_gas=(
            Gas(quantity_field(env, "currentExcessBlobGas", bits=64)) if "currentExcessBlobGas" in env else None
        ),
    )


def _cases(post: Mapping[str, Any], transaction: Mapping[str, Any]) -> Iterator[StateCase]:
    counts = {
        index: len(list_field(transaction, field, inside="transaction"))
        for index, field in (("data", "data"), ("gas", "gasLimit"), ("value", "value"))
    }
    for fork in post:
        for index, entry in enumerate(list_field(post, fork, inside="post")):
            yield _case(fork, index, entry, counts)


def _case(fork: str, index: int, entry: Any, counts: Mapping[str, int]) -> StateCase:
    where = f"post.{fork}[{index}]"
    if not isinstance(entry, dict):
        raise MalformedField(where, "not an object")
    indexes = object_field(entry, "indexes", inside=where)
    chosen: dict[str, int] = {}
    for name, count in counts.items():
        position = indexes.get(name)
        if not isinstance(position, int) or not 0 <= position < count:
            raise MalformedField(f"{where}.indexes.{name}", f"{position!r} is not in [0, {count})")
        chosen[name] = position
    exception = entry.get("expectException")
    if exception is not None and (not isinstance(exception, str) or not exception):
        raise MalformedField(f"{where}.expectException", "not a name")
    return StateCase(
        fork=fork,
        index=index,
        data_index=chosen["data"],
        gas_index=chosen["gas"],
        value_index=chosen["value"],
        state_root=hash_field(entry, "hash", inside=where),
        logs_hash=hash_field(entry, "logs", inside=where),
        expected_exception=exception,
        transaction_rlp=bytes_field(entry, "txbytes", inside=where) if "txbytes" in entry else None,
    )
