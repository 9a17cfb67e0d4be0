"""
How fast whole transactions are: plain revm, tier 0 and tier 1, side by side.

The contestants take turns, round by round, on the same state; minimum and median are of whole transactions,
journal and accounting included. Compilation happens before and is reported apart, as CPU time of the worker.
EIP-7825's cap on a transaction's gas is off for all.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from metis import engine
from metis.types import FixtureError
from metis.vm.case import CaseRunner, Prepared
from metis.vm.eager import CompiledRun, compile_met
from metis.vm.fixtures import FixtureFile, read_fixture
from metis.vm.statetest import StateTest, parse_state_tests

__all__ = ["CLASSES", "CONTESTANTS", "Row", "bench_file", "geometric_means"]

CONTESTANTS: Final = ("revm", "tier0", "tier1")

CLASSES: Final = ("compute", "loop", "storage", "call")
"""What a workload spends its time with: arithmetic and memory, one tight loop, state and hashing, being called."""

_LOOP_CODE_BYTES_MAX: Final = 128
_CALL_GAS_MAX: Final = 100_000
_STORAGE_NAMES: Final = ("erc20", "hash", "transfer", "mint", "storage")

SAMPLE_NS: Final = 2_000_000
"""A sample repeats a transaction until it takes about this long, so that the clock does not matter."""

LEVEL: Final = 2


@dataclass(frozen=True, slots=True)
class Row:
    """
    One workload's result.

    Attributes
    ----------
    name : the test's. gas : used by the transaction. kind : one of :data:`CLASSES`.
    minimum_ms, median_ms : contestant → milliseconds of one transaction.
    compile_ms, longest_compile_ms : CPU time for all codes that it runs, and for the one that took longest.
    refusals : reason → codes not compiled.
    compiled_share : of the frames of tier 1 that have code, those that began in compiled code.
    deoptimisations : how often tier 1 left compiled code in one transaction, about.
    """

    name: str
    gas: int
    kind: str
    minimum_ms: dict[str, float]
    median_ms: dict[str, float]
    compile_ms: float
    longest_compile_ms: float
    refusals: dict[str, int]
    compiled_share: float
    deoptimisations: float

    @property
    def ratio(self) -> float:
        """Plain revm's time over tier 1's; above 1 tier 1 is faster."""
        return self.minimum_ms["revm"] / self.minimum_ms["tier1"]


def bench_file(file: FixtureFile, rounds: int, processes: int = 1) -> list[Row]:
    """
    Measure the first case of every test of a state-test file.

    Raises
    ------
    FixtureError : the file cannot be read, or has no case that runs.
    InvalidTransaction : a case's transaction is refused.
    """
    rows = []
    for test in parse_state_tests(file.path, read_fixture(file)):
        if isinstance(test, FixtureError):
            raise test
        rows.append(_bench_test(test, rounds, processes))
    return rows


def _bench_test(test: StateTest, rounds: int, processes: int) -> Row:
    if not test.cases:
        raise FixtureError(test.path, test.name, "has no case to measure")
    prepared = CaseRunner(test).prepare(test.cases[0], transaction_gas_cap=False)
    registry = engine.CodeRegistry("eager")
    run = CompiledRun()
    while True:
        _sample(prepared, "tier1", 1, registry)
        if not compile_met(registry, processes, run, LEVEL):
            break
    run.begin_run(registry)
    outcomes = {}
    times: dict[str, list[float]] = {contestant: [] for contestant in CONTESTANTS}
    repeats = {}
    for contestant in CONTESTANTS:
        first_ns, outcomes[contestant] = _sample(prepared, contestant, 1, registry)
        repeats[contestant] = max(1, min(200, int(SAMPLE_NS / max(first_ns, 1))))
    if not outcomes["revm"] == outcomes["tier0"] == outcomes["tier1"]:
        raise FixtureError(test.path, test.name, "the contestants differ in their results")
    for _ in range(rounds):
        for contestant in CONTESTANTS:
            sample_ns, _ = _sample(prepared, contestant, repeats[contestant], registry)
            times[contestant].append(sample_ns / 1e6)
    run.read(registry)
    runs = 1 + rounds * (repeats["tier1"] + 1)
    return Row(
        name=test.name,
        gas=outcomes["revm"]["gas_used"],
        kind=_kind(test, outcomes["revm"]["gas_used"]),
        minimum_ms={contestant: min(values) for contestant, values in times.items()},
        median_ms={contestant: statistics.median(values) for contestant, values in times.items()},
        compile_ms=run.compile_ms,
        longest_compile_ms=run.longest_compile_ms,
        refusals=run.refusals,
        compiled_share=run.compiled_share,
        deoptimisations=sum(run.deoptimisations.values()) / runs,
    )


def _sample(
    prepared: Prepared, contestant: str, repeats: int, registry: engine.CodeRegistry
) -> tuple[float, dict[str, Any]]:
    """Return the shortest of some runs in nanoseconds, and the outcome."""
    result = engine.bench_transaction(
        # A case's state is in memory unless a machine says otherwise, and none was given.
        cast(engine.MemoryStore, prepared.store),
        prepared.spec,
        prepared.environment,
        prepared.transaction,
        contestant,
        repeats,
        registry=registry if contestant == "tier1" else None,
    )
    return min(result["times_ns"]), result["outcome"]


def _kind(test: StateTest, gas: int) -> str:
    """Sort a workload into a class, from what the file says and what it used."""
    size = max((len(account.code) for account in test.alloc.values()), default=0)
    if size <= _LOOP_CODE_BYTES_MAX:
        return "loop"
    if gas <= _CALL_GAS_MAX:
        return "call"
    return "storage" if any(word in test.name.lower() for word in _STORAGE_NAMES) else "compute"


def geometric_means(rows: Sequence[Row]) -> dict[str, float]:
    """Return the geometric mean of the ratios of each class that has rows, and of all as "all"."""
    means = {}
    for kind in (*CLASSES, "all"):
        ratios = [row.ratio for row in rows if kind in ("all", row.kind)]
        if ratios:
            means[kind] = math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))
    return means
