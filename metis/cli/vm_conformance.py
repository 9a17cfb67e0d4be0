"""What runs of Ethereum's tests say, on the terminal and to programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from metis.cli.output import columns, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from metis.vm import CaseFailure, Report

__all__ = ["FAILURES_SHOWN_MAX", "core_count", "tell"]

FAILURES_SHOWN_MAX = 20

_PROGRESS_INTERVAL_S = 0.1


def tell(
    paths: Sequence[Path],
    run: Callable[[Callable[[Report], None] | None], Report],
    as_json: bool,
    nothing_found: str,
    more_object: Callable[[Report], dict[str, Any]] = lambda _: {},
    more_text: Callable[[Report], str | None] = lambda _: None,
    replay: Callable[[CaseFailure], str | None] = lambda _: None,
) -> None:
    """
    Run tests, showing how far they are, print what came of them, and exit with 1 where one failed.

    Parameters
    ----------
    run : takes what shows progress, if anything does.
    nothing_found : the error where there was no test, because a run that checks nothing must not look like one that
        passes.
    more_object, more_text : what this kind of run says besides.
    replay : the command that shows a failed case.

    Raises
    ------
    FixtureError : there was no test.
    """
    from metis.types import FixtureError

    began_s = time.monotonic()
    report = run(_progress_line() if sys.stderr.isatty() else None)
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    if report.total == 0:
        raise FixtureError(", ".join(str(path) for path in paths), "", nothing_found)
    if as_json:
        write_json({**_as_object(report), **more_object(report)})
    else:
        typer.echo(_as_text(report, time.monotonic() - began_s, more_text(report), replay))
    if report.failed:
        raise typer.Exit(1)


def core_count() -> int:
    """How many threads a run takes that is not told."""
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
    }


def _as_text(report: Report, seconds: float, more: str | None, replay: Callable[[CaseFailure], str | None]) -> str:
    rows = [
        (fork, f"{count.total:,}", f"{count.passed:,}", f"{count.failed:,}", f"{count.skipped:,}")
        for fork, count in report.by_fork.items()
    ]
    rows.append(("total", f"{report.total:,}", f"{report.passed:,}", f"{report.failed:,}", f"{report.skipped:,}"))
    parts = [columns(("fork", "cases", "passed", "failed", "skipped"), rows)]
    if more is not None:
        parts.append(more)
    if report.failures:
        shown = report.failures[:FAILURES_SHOWN_MAX]
        parts.append(f"First {len(shown)} of {len(report.failures):,} differences:")
        parts.extend(_failure_text(failure, replay(failure)) for failure in shown)
    verdict = "FAILED" if report.failed else "passed"
    parts.append(f"{verdict}: {report.passed:,} of {report.total:,} cases in {seconds:.1f} s")
    return "\n\n".join(parts)


def _failure_text(failure: CaseFailure, replay: str | None) -> str:
    lines = [failure.id, f"    {failure.detail}"]
    for name in ("state_root", "logs_hash", "value"):
        expected, actual = failure.expected.get(name), failure.actual.get(name)
        if actual is not None and expected != actual:
            lines.append(f"    {name.replace('_', ' ')}: expected {expected}, got {actual}")
    if replay:
        lines.append(f"    see it run: {replay}")
    return "\n".join(lines)
