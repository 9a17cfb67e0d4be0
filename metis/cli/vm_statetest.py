"""``metis vm statetest``: Ethereum's state tests against the engine."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metis.cli.output import columns, write_json

if TYPE_CHECKING:
    from metis.vm import CaseFailure, Report
    from metis.vm.eager import CompiledRun

__all__ = ["FAILURES_SHOWN_MAX", "statetest"]

FAILURES_SHOWN_MAX = 20

_PROGRESS_INTERVAL_S = 0.1


def statetest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH", help="State-test files, folders of them, or .tar.xz archives.", show_default=False
        ),
    ],
    mode: Annotated[
        str,
        typer.Option(
            help="interpreter; eager (everything compiled first); parallel (each case a block, scheduler forced)."
        ),
    ] = "interpreter",
    fork: Annotated[
        str | None, typer.Option(help="Only this fork's cases, such as Cancun.", show_default=False)
    ] = None,
    store: Annotated[str, typer.Option(help="Where the state lies: memory; metisdb.")] = "memory",
    workers: Annotated[int, typer.Option(min=0, help="Threads; 0 takes one per core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """
    Check the engine against Ethereum state tests.

    A case passes when the state root and the logs hash are the file's and, where the file expects
    a refusal, the transaction is refused for the reason it names. Every case is counted: passed,
    failed, or skipped because the engine does not implement its fork. A file that cannot be read
    counts as one failure; the others go on.

    Mode eager runs everything, compiles each code that was met once, in processes, and runs
    everything again until no code is new; the last run counts.

    With --json: {"total", "passed", "failed", "skipped", "by_fork": {fork: counts}, "failures":
    [the first 20]}, in mode eager also "compiled": {"codes", "refusals", "frames_compiled",
    "frames_interpreted", "compiled_share", "deoptimisations", "compile_ms"}. Exit code 1 when
    anything failed.
    """
    from metis.types import FixtureError
    from metis.vm import fixture_files, run_state_tests

    began_s = time.monotonic()
    report = run_state_tests(
        fixture_files(paths),
        mode=mode,
        fork=fork,
        workers=workers or _core_count(),
        store=store,
        on_progress=_progress_line() if sys.stderr.isatty() else None,
    )
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    if report.total == 0:
        # A run that checks nothing must not look like one that passes.
        names = ", ".join(str(path) for path in paths)
        raise FixtureError(names, "", "no state tests found" + (f" for fork {fork}" if fork else ""))
    if as_json:
        write_json(_as_object(report))
    else:
        typer.echo(_as_text(report, time.monotonic() - began_s))
    if report.failed:
        raise typer.Exit(1)


def _core_count() -> int:
    import os

    # What this process may use, which in a container is less than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _progress_line() -> Callable[[Report], None]:
    """A line on the terminal that is written over, a few times a second."""
    shown_s = 0.0

    def show(report: Report) -> None:
        nonlocal shown_s
        now_s = time.monotonic()
        if now_s - shown_s >= _PROGRESS_INTERVAL_S:
            shown_s = now_s
            sys.stderr.write(f"\r\x1b[K{report.total:,} cases, {report.failed:,} failed")
            sys.stderr.flush()

    return show


def _as_object(report: Report) -> dict[str, Any]:
    compiled = {} if report.compiled is None else {"compiled": _compiled_object(report.compiled)}
    return {
        "total": report.total,
        "passed": report.passed,
        "failed": report.failed,
        "skipped": report.skipped,
        "by_fork": {
            fork: {"total": count.total, "passed": count.passed, "failed": count.failed, "skipped": count.skipped}
            for fork, count in report.by_fork.items()
        },
        "failures": [
            {
                "id": failure.id,
                "kind": failure.kind,
                "reason": failure.detail,
                "expected": dict(failure.expected),
                "got": dict(failure.actual),
            }
            for failure in report.failures[:FAILURES_SHOWN_MAX]
        ],
        **compiled,
    }


def _compiled_object(run: CompiledRun) -> dict[str, Any]:
    return {
        "codes": run.codes,
        "refusals": run.refusals,
        "frames_compiled": run.frames_compiled,
        "frames_interpreted": run.frames_interpreted,
        "compiled_share": run.compiled_share,
        "deoptimisations": run.deoptimisations,
        "compile_ms": run.compile_ms,
    }


def _compiled_text(run: CompiledRun) -> str:
    refused = sum(run.refusals.values())
    lines = [
        f"{run.codes:,} codes compiled in {run.compile_ms / 1000:.1f} s of CPU time, {refused:,} of them refused",
        f"{run.compiled_share:.2%} of {run.frames_compiled + run.frames_interpreted:,} frames ran compiled",
        "left to the interpreter: " + ", ".join(f"{cause} {count:,}" for cause, count in run.deoptimisations.items()),
    ]
    return "\n".join([*lines, *(f"refused {count:,}: {reason}" for reason, count in run.refusals.items())])


def _as_text(report: Report, seconds: float) -> str:
    rows = [
        (fork, f"{count.total:,}", f"{count.passed:,}", f"{count.failed:,}", f"{count.skipped:,}")
        for fork, count in report.by_fork.items()
    ]
    rows.append(("total", f"{report.total:,}", f"{report.passed:,}", f"{report.failed:,}", f"{report.skipped:,}"))
    parts = [columns(("fork", "cases", "passed", "failed", "skipped"), rows)]
    if report.compiled is not None:
        parts.append(_compiled_text(report.compiled))
    if report.failures:
        shown = report.failures[:FAILURES_SHOWN_MAX]
        parts.append(f"First {len(shown)} of {len(report.failures):,} differences:")
        parts.extend(_failure_text(failure) for failure in shown)
    verdict = "FAILED" if report.failed else "passed"
    parts.append(f"{verdict}: {report.passed:,} of {report.total:,} cases in {seconds:.1f} s")
    return "\n\n".join(parts)


def _failure_text(failure: CaseFailure) -> str:
    lines = [failure.id, f"    {failure.detail}"]
    for name in ("state_root", "logs_hash"):
        expected, actual = failure.expected.get(name), failure.actual.get(name)
        if actual is not None and expected != actual:
            lines.append(f"    {name.replace('_', ' ')}: expected {expected}, got {actual}")
    replay = _replay(failure)
    if replay:
        lines.append(f"    see it run: {replay}")
    return "\n".join(lines)


def _replay(failure: CaseFailure) -> str | None:
    """The command that traces this case, for files that are on disk by that name."""
    if failure.index is None:
        return None
    import shlex

    path, _, rest = failure.id.partition("::")
    if not Path(path).is_file():
        return None
    test, fork, _ = rest.rsplit("::", 2)
    return shlex.join(["metis", "vm", "run", path, "--test", test, "--fork", fork, "--index", str(failure.index)])
