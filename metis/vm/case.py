"""
One state-test case against the engine.

Passed means: the state root and the logs hash are the file's, and, where the file expects a refusal,
the transaction was refused for one of the reasons it names. State tests run a transaction alone:
no system calls, no withdrawals, no block reward. BLOCKHASH(n) is, by the tests' convention, the
Keccak-256 of n written in decimal.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from metis import engine
from metis.types import (
    Account,
    BlockEnvironment,
    DecodeError,
    EngineFault,
    FixtureError,
    Gas,
    GenesisError,
    Hash32,
    InvalidTransaction,
    TransactionOutcome,
    Wei,
)
from metis.vm.fields import MalformedField
from metis.vm.forks import canonical_fork, fork_reached, spec_at
from metis.vm.refusals import is_expected, refusal_name
from metis.vm.statetest import StateCase, StateTest
from metis.vm.template import template_sender, unsigned_transaction

__all__ = ["CaseFailure", "CaseRunner", "Prepared", "execute_case", "run_case"]

BLOCKHASH_WINDOW = 256

_NO_LOGS_HASH = Hash32(bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"))
"""Keccak-256 of the RLP of an empty list: what a refused transaction logs."""


@dataclass(frozen=True, slots=True)
class CaseFailure:
    """
    What is different, in one case or one file that cannot be read.

    Attributes
    ----------
    id : ``file::test::fork::data_gas_value``, or the file (and test) that cannot be read.
    kind : "state-root", "logs-hash", "refused", "not-refused", "wrong-refusal", "sender",
        "engine-fault" or "fixture".
    detail : the same for a reader.
    expected, actual : state root, logs hash and refusal by name, as far as they are known.
    index : position of the case in the file's list for its fork, or None for a file.
    """

    id: str
    kind: str
    detail: str
    expected: Mapping[str, str | None]
    actual: Mapping[str, str | None]
    index: int | None = None


@dataclass(frozen=True, slots=True)
class _Result:
    """What the engine made of a case: a root and a logs hash, and the refusal if there was one."""

    state_root: Hash32
    logs_hash: Hash32
    refusal: InvalidTransaction | DecodeError | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case's transaction with the state, rules and block that it runs in."""

    store: engine.Store
    spec: engine.ChainSpec
    environment: BlockEnvironment
    transaction: engine.TransactionHandle


@dataclass(frozen=True, slots=True)
class Machine:
    """
    What runs cases.

    Attributes
    ----------
    registry : compiled code to run; None interprets everything.
    block_workers : threads of the parallel executor that runs a case's transaction as a block of its own; None runs it
        without one.
    store : where the state lies: "memory" or "metisdb".
    """

    registry: engine.CodeRegistry | None = None
    block_workers: int | None = None
    store: str = "memory"

    def open_store(self, alloc: Mapping[bytes, Account]) -> engine.Store:
        """Open a store of its own that holds these accounts."""
        if self.store == "memory":
            return engine.MemoryStore(alloc)
        # Segments of 64 entries: even the few keys of a test fill some.
        return engine.MetisStore(alloc, segment_log2=6)


class CaseRunner:
    """
    Runs the cases of one test; they share one store, since running a transaction keeps nothing.

    Parameters
    ----------
    machine : what runs them.
    """

    def __init__(self, test: StateTest, machine: Machine = Machine()) -> None:
        self.test = test
        self._machine = machine
        self._environments: dict[tuple[bool, bool], BlockEnvironment] = {}

    @functools.cached_property
    def _store(self) -> engine.Store:
        return self._machine.open_store(self.test.alloc)

    def run(self, case: StateCase) -> CaseFailure | None:
        """
        Compare one case with its expectation; None when it passes.

        A fault of the engine and a field that cannot be read are failures of the case too.
        """
        try:
            result = self._result(case)
        except EngineFault as fault:
            return self._failure(case, "engine-fault", f"the engine stopped itself: {fault}")
        except (MalformedField, GenesisError) as error:
            return self._failure(case, "fixture", str(error))
        except _WrongSender as error:
            return self._failure(case, "sender", str(error))
        return self._difference(case, result)

    def execute(
        self,
        case: StateCase,
        *,
        trace: Callable[[bytes], None] | None = None,
        transaction_gas_cap: bool = True,
    ) -> TransactionOutcome:
        """
        Run one case's transaction and return what it did.

        Raises
        ------
        InvalidTransaction, DecodeError : it is refused.
        FixtureError : the file's fields do not make a transaction, or its fork is unknown.
        """
        try:
            return self._outcome(case, trace, transaction_gas_cap=transaction_gas_cap)
        except (MalformedField, GenesisError, _WrongSender) as error:
            raise FixtureError(self.test.path, self.test.name, str(error)) from error

    def _result(self, case: StateCase) -> _Result:
        try:
            outcome = self._outcome_to_compare(case)
        except (InvalidTransaction, DecodeError) as refusal:
            return _Result(self._root_after_refusal(case), _NO_LOGS_HASH, refusal)
        return _Result(outcome.state_root, outcome.logs_hash)

    def prepare(self, case: StateCase, *, transaction_gas_cap: bool = True) -> Prepared:
        """
        Return what the engine needs to run a case's transaction.

        Raises
        ------
        InvalidTransaction, DecodeError : its signed bytes are refused.
        FixtureError : the file's fields do not make a transaction, or its fork is unknown.
        """
        try:
            return self._prepared(case, transaction_gas_cap=transaction_gas_cap)
        except (MalformedField, GenesisError, _WrongSender) as error:
            raise FixtureError(self.test.path, self.test.name, str(error)) from error

    def _outcome_to_compare(self, case: StateCase) -> TransactionOutcome | engine.BatchOutcome:
        if self._machine.block_workers is None:
            return self._outcome(case, None, transaction_gas_cap=True)
        prepared = self._prepared(case, transaction_gas_cap=True)
        return engine.execute_transactions(
            prepared.store,
            prepared.spec,
            prepared.environment,
            [prepared.transaction],
            registry=self._machine.registry,
            workers=self._machine.block_workers,
        )

    def _outcome(
        self, case: StateCase, trace: Callable[[bytes], None] | None, *, transaction_gas_cap: bool
    ) -> TransactionOutcome:
        prepared = self._prepared(case, transaction_gas_cap=transaction_gas_cap)
        return engine.execute_transaction(
            prepared.store,
            prepared.spec,
            prepared.environment,
            prepared.transaction,
            trace=trace,
            registry=self._machine.registry,
        )

    def _prepared(self, case: StateCase, *, transaction_gas_cap: bool) -> Prepared:
        fork = canonical_fork(case.fork)
        if fork is None:
            raise MalformedField("post", f"fork {case.fork!r} is not one of the engine's")
        spec = spec_at(fork, self.test.chain_id, self.test.blob_schedules.get(case.fork))
        if not transaction_gas_cap:
            spec = spec.without_transaction_gas_limit_cap()
        transaction = self._transaction(case)
        return Prepared(self._store, spec, self.environment(fork), transaction)

    def _transaction(self, case: StateCase) -> engine.TransactionHandle:
        if case.transaction_rlp is None:
            return engine.unsigned_transaction(unsigned_transaction(self.test, case))
        transaction = engine.decode_transaction(case.transaction_rlp)
        sender = template_sender(self.test.transaction)
        if sender is not None and transaction.sender != sender:
            raise _WrongSender(f"recovered sender 0x{transaction.sender.hex()} instead of 0x{sender.hex()}")
        return transaction

    def environment(self, fork: str) -> BlockEnvironment:
        """The block of the test, as a fork (the engine's name) has it."""
        has_base_fee, has_blobs = fork_reached(fork, "London"), fork_reached(fork, "Cancun")
        environment = self._environments.get((has_base_fee, has_blobs))
        if environment is None:
            environment = replace(
                self.test.environment,
                base_fee_per_gas_wei=self.test.environment.base_fee_per_gas_wei if has_base_fee else Wei(0),
                excess_blob_gas=(self.test.environment.excess_blob_gas or Gas(0)) if has_blobs else None,
                block_hashes=_block_hashes(self.test.environment.number),
            )
            self._environments[has_base_fee, has_blobs] = environment
        return environment

    def _root_after_refusal(self, case: StateCase) -> Hash32:
        beneficiary = self.test.environment.beneficiary
        fork = canonical_fork(case.fork)
        has_empty_accounts = fork is not None and not fork_reached(fork, "SpuriousDragon")
        if self.test.is_from_execution_spec_tests or not has_empty_accounts or beneficiary in self.test.alloc:
            return Hash32(self._store.state_root())
        # The older filler ends every block with a reward of zero, which before EIP-161 creates the
        # beneficiary, transaction or not.
        return Hash32(self._machine.open_store({**self.test.alloc, beneficiary: Account()}).state_root())

    def _difference(self, case: StateCase, result: _Result) -> CaseFailure | None:
        refusal = refusal_name(result.refusal) if result.refusal is not None else None
        kind, detail = None, ""
        if case.expected_exception is None and result.refusal is not None:
            kind, detail = "refused", f"refused ({refusal}): {result.refusal}"
        elif case.expected_exception is not None and refusal is None:
            kind, detail = "not-refused", f"should be refused with {case.expected_exception}, but ran"
        elif (
            case.expected_exception is not None
            and refusal is not None
            and not is_expected(case.expected_exception, refusal)
        ):
            kind, detail = "wrong-refusal", f"should be refused with {case.expected_exception}, was with {refusal}"
        elif result.state_root != case.state_root:
            kind, detail = "state-root", "state after it is different"
        elif result.logs_hash != case.logs_hash:
            kind, detail = "logs-hash", "logs are different"
        if kind is None:
            return None
        return self._failure(case, kind, detail, result, refusal)

    def _failure(
        self, case: StateCase, kind: str, detail: str, result: _Result | None = None, refusal: str | None = None
    ) -> CaseFailure:
        return CaseFailure(
            id=self.test.case_id(case),
            kind=kind,
            detail=detail,
            expected={
                "state_root": f"0x{case.state_root.hex()}",
                "logs_hash": f"0x{case.logs_hash.hex()}",
                "refusal": case.expected_exception,
            },
            actual={
                "state_root": f"0x{result.state_root.hex()}" if result else None,
                "logs_hash": f"0x{result.logs_hash.hex()}" if result else None,
                "refusal": refusal,
            },
            index=case.index,
        )


def run_case(test: StateTest, case: StateCase) -> CaseFailure | None:
    """Compare one case with its expectation; for many cases of a test a CaseRunner is cheaper."""
    return CaseRunner(test).run(case)


def execute_case(
    test: StateTest,
    case: StateCase,
    *,
    trace: Callable[[bytes], None] | None = None,
    transaction_gas_cap: bool = True,
) -> TransactionOutcome:
    """
    Run one case's transaction without judging it.

    Parameters
    ----------
    trace : gets one EIP-3155 JSON line per step.
    transaction_gas_cap : False lifts EIP-7825's cap, for workloads that are older than it.

    Raises
    ------
    InvalidTransaction, DecodeError : the transaction is refused.
    FixtureError : the file's fields do not make a transaction, or its fork is unknown.
    """
    return CaseRunner(test).execute(case, trace=trace, transaction_gas_cap=transaction_gas_cap)


def _block_hashes(number: int) -> dict[int, Hash32]:
    """Hashes of a block's ancestors, by the convention of state tests."""
    return {ancestor: _block_hash(ancestor) for ancestor in range(max(0, number - BLOCKHASH_WINDOW), number)}


@functools.cache
def _block_hash(number: int) -> Hash32:
    return Hash32(engine.keccak256(str(number).encode()))


class _WrongSender(Exception):
    """The signature recovers to another address than the file says."""
