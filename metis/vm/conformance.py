"""State-test files in one of the ways that cases may run, one report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from metis import engine
from metis.types import CompositionError, FixtureError, GenesisError
from metis.vm.case import CaseRunner, Machine
from metis.vm.eager import CompiledRun, compile_met
from metis.vm.fixtures import FixtureFile, read_fixture
from metis.vm.forks import canonical_fork
from metis.vm.report import Report, run_files
from metis.vm.statetest import StateTest, parse_state_tests

__all__ = ["MODES", "STORES", "run_state_tests"]

MODES = ("interpreter", "eager", "parallel")
"""How cases may run: revm's interpreter; everything compiled first; scheduled by MPEF."""

STORES = ("memory", "metisdb")
"""Where the state of cases may lie."""


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
    return run_files(files, lambda file: _file_report(file, chosen, machine), workers, on_progress)


def check_mode(mode: str) -> None:
    """
    Accept a mode that can run today.

    Raises
    ------
    CompositionError : the mode is unknown or not built yet; nothing falls back to the interpreter.
    """
    if mode not in MODES:
        raise CompositionError("VirtualMachine", mode, f"no such mode; choose one of {', '.join(MODES)}")


def _file_report(file: FixtureFile, fork: str | None, machine: Machine) -> Report:
    report = Report()
    try:
        for test in parse_state_tests(file.path, read_fixture(file)):
            if isinstance(test, FixtureError):
                report.unreadable(test)
            else:
                _run_test(test, fork, report, machine)
    except FixtureError as error:
        report.unreadable(error)
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
