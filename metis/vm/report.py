"""
Many test files on threads, one report.

Threads suffice: the engine gives up the interpreter lock while it executes, and parsing is a small
part of the time. Reading stays on the caller's thread, a bounded number of files ahead of the
workers, so that an archive of any size runs in constant memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from metis import engine
from metis.types import FixtureError
from metis.vm.case import CaseFailure
from metis.vm.eager import CompiledRun
from metis.vm.fixtures import FixtureFile
from metis.vm.forks import canonical_fork

__all__ = ["ForkCount", "Report", "run_files"]

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

    def unreadable(self, error: FixtureError) -> None:
        """Count and keep a file or a test that cannot be read."""
        name = f"{error.path}::{error.test}" if error.test else error.path
        self.failed_case(UNREADABLE, CaseFailure(name, "fixture", error.problem, expected={}, actual={}))

    def add(self, other: Report) -> None:
        """Append another report, such as the next file's."""
        for fork, added in other.by_fork.items():
            count = self.by_fork.setdefault(fork, ForkCount())
            count.total += added.total
            count.passed += added.passed
            count.failed += added.failed
            count.skipped += added.skipped
        self.failures.extend(other.failures)


def run_files(
    files: Iterable[FixtureFile],
    report_of: Callable[[FixtureFile], Report],
    workers: int,
    on_progress: Callable[[Report], None] | None,
) -> Report:
    """
    Run every file, on threads, and join what they report in the order of the files.

    Parameters
    ----------
    report_of : runs one file.
    workers : threads; 1 runs everything on the caller's.
    on_progress : called with the report so far after each file, on the caller's thread.

    Raises
    ------
    FixtureError : a path does not exist (from ``files``).
    """
    so_far = Report()
    by_position: dict[int, Report] = {}
    for position, file_report in _reports(files, report_of, workers):
        by_position[position] = file_report
        so_far.add(file_report)
        if on_progress is not None:
            on_progress(so_far)
    return _joined(by_position)


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
    files: Iterable[FixtureFile], report_of: Callable[[FixtureFile], Report], workers: int
) -> Iterator[tuple[int, Report]]:
    """Each file's position and report, as they are finished: one slow file does not hold up the others."""
    if workers <= 1:
        for position, file in enumerate(files):
            yield position, report_of(file)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="conformance") as pool:
        running: dict[Future[Report], int] = {}
        try:
            for position, file in enumerate(files):
                running[pool.submit(report_of, file)] = position
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
