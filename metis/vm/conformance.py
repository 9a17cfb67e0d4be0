"""
Many state-test files on threads, one report.

Threads suffice: the engine gives up the interpreter lock while it executes, and parsing is a small
part of the time. Reading stays on the caller's thread, a bounded number of files ahead of the
workers, so that an archive of any size runs in constant memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from metis import engine
from metis.types import CompositionError, FixtureError, GenesisError
from metis.vm.case import CaseFailure, CaseRunner
from metis.vm.fixtures import FixtureFile, read_fixture
from metis.vm.forks import canonical_fork
from metis.vm.statetest import StateTest, parse_state_tests

__all__ = ["MODES", "ForkCount", "Report", "run_state_tests"]

MODES = ("interpreter", "eager", "parallel")
"""How cases may run: revm's interpreter; everything compiled first; scheduled by MPEF."""

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
    by_fork : counts by the files' own fork names; :data:`UNREADABLE` counts what has none.
    failures : every difference, in the order of files and cases.
    """

    by_fork: dict[str, ForkCount] = field(default_factory=dict)
    failures: list[CaseFailure] = field(default_factory=list)

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

    Returns
    -------
    Report ; the same for the same files, whatever the number of workers.

    Raises
    ------
    CompositionError : the mode is unknown or not built yet.
    GenesisError : the engine has no fork of that name.
    FixtureError : a path does not exist (from ``files``).
    """
    check_mode(mode)
    chosen = canonical_fork(fork) if fork is not None else None
    if fork is not None and chosen is None:
        raise GenesisError("fork", f"{fork!r} is not a fork of the engine: {', '.join(engine.fork_names())}")
    report = Report()
    for file_report in _reports(files, chosen, workers):
        report.add(file_report)
        if on_progress is not None:
            on_progress(report)
    return report


def check_mode(mode: str) -> None:
    """
    Accept a mode that can run today.

    Raises
    ------
    CompositionError : the mode is unknown or not built yet; nothing falls back to the interpreter.
    """
    if mode == "interpreter":
        return
    not_built: Mapping[str, tuple[str, str]] = {
        "eager": ("VirtualMachine", "the compiler is not built yet; run with --mode interpreter"),
        "parallel": ("Executor", "the parallel executor is not built yet; run with --mode interpreter"),
    }
    interface, problem = not_built.get(mode, ("VirtualMachine", f"no such mode; choose one of {', '.join(MODES)}"))
    raise CompositionError(interface, mode, problem)


def _reports(files: Iterable[FixtureFile], fork: str | None, workers: int) -> Iterator[Report]:
    if workers <= 1:
        for file in files:
            yield _file_report(file, fork)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="statetest") as pool:
        waiting: deque[Future[Report]] = deque()
        try:
            for file in files:
                waiting.append(pool.submit(_file_report, file, fork))
                # BOUND: files in memory. Results are taken in order, so that reports are equal
                # for any number of workers.
                while len(waiting) > workers * FILES_AHEAD_PER_WORKER:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _file_report(file: FixtureFile, fork: str | None) -> Report:
    report = Report()
    try:
        for test in parse_state_tests(file.path, read_fixture(file)):
            if isinstance(test, FixtureError):
                report.failed_case(UNREADABLE, _unreadable(test))
            else:
                _run_test(test, fork, report)
    except FixtureError as error:
        report.failed_case(UNREADABLE, _unreadable(error))
    return report


def _run_test(test: StateTest, fork: str | None, report: Report) -> None:
    runner: CaseRunner | None = None
    for case in test.cases:
        case_fork = canonical_fork(case.fork)
        if fork is not None and case_fork != fork:
            continue
        if case_fork is None:
            report.skipped_case(case.fork)
            continue
        runner = runner or CaseRunner(test)
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
