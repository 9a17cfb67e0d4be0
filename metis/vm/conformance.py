"""
Many state-test files on threads, one report.

Threads suffice: the engine gives up the interpreter lock while it executes, and parsing is a small
part of the time. Reading stays on the caller's thread, a bounded number of files ahead of the
workers, so that an archive of any size runs in constant memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from metis import engine
from metis.types import CompositionError, FixtureError, GenesisError
from metis.vm.case import CaseFailure, CaseRunner, Machine
from metis.vm.eager import CompiledRun, compile_met
from metis.vm.fixtures import FixtureFile, read_fixture
from metis.vm.forks import canonical_fork
from metis.vm.statetest import StateTest, parse_state_tests

__all__ = ["MODES", "STORES", "ForkCount", "Report", "run_state_tests"]

MODES = ("interpreter", "eager", "parallel")
"""How cases may run: revm's interpreter; everything compiled first; scheduled by MPEF."""

STORES = ("memory", "metisdb")
"""Where the state of cases may lie."""

UNREADABLE = "unreadable"
"""Where :attr:`Report.by_fork` counts files and tests that could not be read."""

FILES_AHEAD_PER_WORKER = 4


@dataclass(slots=True)
class ForkCount:
    """How many cases of one fork ended how; total is the sum of the others."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass(slots=True)
class Report:
    """
    Result of a run.

    Attributes
    ----------
    compiled : what mode "eager" compiled and how it ran; None in other modes.
    by_fork : counts by the files' own fork names; :data:`UNREADABLE` counts what has none.
    failures : every difference, in the order of files and cases.
    """

    by_fork: dict[str, ForkCount] = field(default_factory=dict)
    failures: list[CaseFailure] = field(default_factory=list)
    compiled: CompiledRun | None = None

    @property
    def total(self) -> int:
        """Cases seen; a file or test that cannot be read counts as one."""
        return sum(count.total for count in self.by_fork.values())

    @property
    def passed(self) -> int:
        """Cases whose root, logs hash and refusal are as expected."""
        return sum(count.passed for count in self.by_fork.values())

    @property
    def failed(self) -> int:
        """Cases that differ, and files or tests that cannot be read."""
        return sum(count.failed for count in self.by_fork.values())

    @property
    def skipped(self) -> int:
        """Cases for forks that the engine does not implement."""
        return sum(count.skipped for count in self.by_fork.values())

    def passed_case(self, fork: str) -> None:
        """Count a case that passed."""
        count = self.by_fork.setdefault(fork, ForkCount())
        count.total += 1
        count.passed += 1

    def failed_case(self, fork: str, failure: CaseFailure) -> None:
        """Count and keep a difference."""
        count = self.by_fork.setdefault(fork, ForkCount())
        count.total += 1
        count.failed += 1
        self.failures.append(failure)

    def skipped_case(self, fork: str) -> None:
        """Count a case whose fork the engine does not implement."""
        count = self.by_fork.setdefault(fork, ForkCount())
        count.total += 1
        count.skipped += 1

    def add(self, other: Report) -> None:
        """Append another report, such as the next file's."""
        for fork, added in other.by_fork.items():
            count = self.by_fork.setdefault(fork, ForkCount())
            count.total += added.total
            count.passed += added.passed
            count.failed += added.failed
            count.skipped += added.skipped
        self.failures.extend(other.failures)


def run_state_tests(
    files: Iterable[FixtureFile],
    mode: str = "interpreter",
    fork: str | None = None,
    workers: int = 1,
    on_progress: Callable[[Report], None] | None = None,
    store: str = "memory",
) -> Report:
    """
    Run every case of every file.

    Parameters
    ----------
    files : such as metis.vm.fixture_files gives.
    mode : one of MODES.
    fork : run only this fork's cases, by any of its names; None runs all.
    workers : threads; 1 runs everything on the caller's.
    on_progress : called with the report so far after each file, on the caller's thread.
    store : one of STORES.

    Returns
    -------
    Report ; the same for the same files, whatever the number of workers.

    Raises
    ------
    CompositionError : the mode or the store is unknown.
    GenesisError : the engine has no fork of that name.
    FixtureError : a path does not exist (from ``files``).
    """
    check_mode(mode)
    if store not in STORES:
        raise CompositionError("StateStore", store, f"no such store; choose one of {', '.join(STORES)}")
    if mode == "eager":
        return _run_eagerly(list(files), fork, workers, on_progress, store)
    machine = Machine(block_workers=2 if mode == "parallel" else None, store=store)
    return _run_once(files, fork, workers, on_progress, machine)


def _run_eagerly(
    files: Sequence[FixtureFile],
    fork: str | None,
    workers: int,
    on_progress: Callable[[Report], None] | None,
    store: str,
) -> Report:
    """Run everything until no code is left that could be compiled, and report the last run."""
    registry = engine.CodeRegistry("eager")
    compiled = CompiledRun()
    while True:
        report = _run_once(files, fork, workers, on_progress, Machine(registry, store=store))
        if not compile_met(registry, workers, compiled):
            compiled.read(registry)
            report.compiled = compiled
            return report
        compiled.begin_run(registry)


def _run_once(
    files: Iterable[FixtureFile],
    fork: str | None,
    workers: int,
    on_progress: Callable[[Report], None] | None,
    machine: Machine,
) -> Report:
    chosen = canonical_fork(fork) if fork is not None else None
    if fork is not None and chosen is None:
        raise GenesisError("fork", f"{fork!r} is not a fork of the engine: {', '.join(engine.fork_names())}")
    so_far = Report()
    by_position: dict[int, Report] = {}
    for position, file_report in _reports(files, chosen, workers, machine):
        by_position[position] = file_report
        so_far.add(file_report)
        if on_progress is not None:
            on_progress(so_far)
    return _joined(by_position)


def check_mode(mode: str) -> None:
    """
    Accept a mode that can run today.

    Raises
    ------
    CompositionError : the mode is unknown or not built yet; nothing falls back to the interpreter.
    """
    if mode not in MODES:
        raise CompositionError("VirtualMachine", mode, f"no such mode; choose one of {', '.join(MODES)}")


def _joined(by_position: Mapping[int, Report]) -> Report:
    """One report in the order of the files, its forks oldest first, then what is no fork of the engine."""
    report = Report()
    for position in sorted(by_position):
        report.add(by_position[position])
    names = engine.fork_names()
    ages = {fork: names.index(canonical) for fork in report.by_fork if (canonical := canonical_fork(fork)) is not None}
    report.by_fork = dict(sorted(report.by_fork.items(), key=lambda item: (ages.get(item[0], len(names)), item[0])))
    return report


def _reports(
    files: Iterable[FixtureFile], fork: str | None, workers: int, machine: Machine
) -> Iterator[tuple[int, Report]]:
    """Each file's position and report, as they are finished: one slow file does not hold up the others."""
    if workers <= 1:
        for position, file in enumerate(files):
            yield position, _file_report(file, fork, machine)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="statetest") as pool:
        running: dict[Future[Report], int] = {}
        try:
            for position, file in enumerate(files):
                running[pool.submit(_file_report, file, fork, machine)] = position
                # BOUND: files in memory.
                while len(running) >= workers * FILES_AHEAD_PER_WORKER:
                    yield from _finished(running)
            while running:
                yield from _finished(running)
        finally:
            for future in running:
                future.cancel()


def _finished(running: dict[Future[Report], int]) -> Iterator[tuple[int, Report]]:
    """Wait for at least one, and take what is there out of ``running``."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        yield running.pop(future), future.result()


def _file_report(file: FixtureFile, fork: str | None, machine: Machine) -> Report:
    report = Report()
    try:
        for test in parse_state_tests(file.path, read_fixture(file)):
            if isinstance(test, FixtureError):
                report.failed_case(UNREADABLE, _unreadable(test))
            else:
                _run_test(test, fork, report, machine)
    except FixtureError as error:
        report.failed_case(UNREADABLE, _unreadable(error))
    return report


def _run_test(test: StateTest, fork: str | None, report: Report, machine: Machine) -> None:
    runner: CaseRunner | None = None
    for case in test.cases:
        case_fork = canonical_fork(case.fork)
        if fork is not None and case_fork != fork:
            continue
        if case_fork is None:
            report.skipped_case(case.fork)
            continue
        runner = runner or CaseRunner(test, machine)
        failure = runner.run(case)
        if failure is None:
            report.passed_case(case.fork)
        else:
            report.failed_case(case.fork, failure)


def _unreadable(error: FixtureError) -> CaseFailure:
    return CaseFailure(
        id=f"{error.path}::{error.test}" if error.test else error.path,
        kind="fixture",
        detail=error.problem,
        expected={},
        actual={},
    )
