"""``metis rpc conformance``: execution-apis' cases against a fresh node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metis.cli.output import columns, write_json

if TYPE_CHECKING:
    from metis.node.conformance import ConformanceReport, Counts

__all__ = ["FAILURES_SHOWN_MAX", "conformance"]

FAILURES_SHOWN_MAX = 20


def conformance(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="A folder of cases, or a .tar.xz archive of one.", show_default=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """
    Check a fresh node against Ethereum's JSON-RPC cases (execution-apis, tests/).

    The chain beside the cases (genesis.json, chain.rlp) is imported and its head set (headfcu.json), then
    every request is sent over HTTP. Results are compared as JSON values, errors by code and data, cases
    marked "speconly" by form. Cases of methods that this version does not have are skipped.

    With --json: {"total", "passed", "failed", "skipped", "by_fork": {fork: counts}, "by_method": {method:
    counts}, "failures": [the first 20], "skips": {case: reason}}. Exit code 1 when anything failed.
    """
    from metis.node.conformance import run_cases
    from metis.node.conformance_cases import load_cases

    report = run_cases(load_cases(path))
    if as_json:
        write_json(_as_object(report))
    else:
        typer.echo(_as_text(report))
    if report.counts.failed:
        raise typer.Exit(1)


def _counts(counts: Counts) -> dict[str, int]:
    return {"total": counts.total, "passed": counts.passed, "failed": counts.failed, "skipped": counts.skipped}


def _as_object(report: ConformanceReport) -> dict[str, Any]:
    return {
        **_counts(report.counts),
        "by_fork": {report.fork: _counts(report.counts)},
        "by_method": {method: _counts(counts) for method, counts in report.by_method.items()},
        "failures": [
            {
                "id": failure.id,
                "kind": "answer",
                "reason": failure.problem,
                "expected": failure.expected,
                "got": failure.got,
            }
            for failure in report.failures[:FAILURES_SHOWN_MAX]
        ],
        "skips": report.skips,
    }


def _as_text(report: ConformanceReport) -> str:
    named = [*report.by_method.items(), ("total", report.counts)]
    rows = [
        (name, str(counts.total), str(counts.passed), str(counts.failed), str(counts.skipped)) for name, counts in named
    ]
    parts = [columns(("method", "cases", "passed", "failed", "skipped"), rows)]
    reasons = sorted(set(report.skips.values()))
    if reasons:
        parts.append("Skipped: " + "; ".join(reasons) + ".")
    if report.failures:
        shown = report.failures[:FAILURES_SHOWN_MAX]
        parts.append(f"First {len(shown)} of {len(report.failures)} differences:")
        parts.extend(f"{failure.id}\n    {failure.problem}" for failure in shown)
    verdict = "FAILED" if report.counts.failed else "passed"
    parts.append(f"{verdict}: {report.counts.passed} of {report.counts.total - report.counts.skipped} applicable cases")
    return "\n\n".join(parts)
