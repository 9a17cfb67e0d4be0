"""
The archive of Ethereum state tests: where it is, what is quick in it, and the table in docs/conformance.md.

The document's numbers are never typed: after a change of the engine or the archive, write them with

    .venv/bin/python -m tests.conformance.archive
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from metis import engine
from metis.cli.output import columns
from metis.vm import FixtureFile, Report, fixture_files, run_state_tests

ARCHIVE_NAME = "ethereum-general-state-tests.tar.xz"
CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENT = CHECKOUT / "docs" / "conformance.md"
BEGIN = "<!-- begin results: written by tests/conformance/archive.py -->"
END = "<!-- end results -->"

SLOW_FILES = frozenset(
    {
        # One call of BLAKE2F with 2**32 - 1 rounds: two thirds of the time of the whole archive.
        "stTimeConsuming/CALLBlake2f_MaxRounds.json",
        "VMTests/vmPerformance/loopMul.json",
    }
)
"""Files that only the long run takes: four cases, and three quarters of the time."""


def quick(files: Iterator[FixtureFile]) -> Iterator[FixtureFile]:
    """All but the slow files."""
    for file in files:
        if file.path.partition(":GeneralStateTests/")[2] not in SLOW_FILES:
            yield file


def first_differences(report: Report) -> str:
    """What a failing test prints."""
    return "\n".join(f"{failure.id}: {failure.detail}" for failure in report.failures[:20])


def core_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def results_text(report: Report, wall_s: float, processor_s: float) -> str:
    """The part of docs/conformance.md between its marks."""
    rows = [
        (fork, f"{count.total:,}", f"{count.passed:,}", f"{count.failed:,}", f"{count.skipped:,}")
        for fork, count in report.by_fork.items()
    ]
    rows.append(("total", f"{report.total:,}", f"{report.passed:,}", f"{report.failed:,}", f"{report.skipped:,}"))
    build = engine.build_info()
    described = ", ".join(f"{name} {value}" for name, value in build.items())
    return "\n".join(
        (
            "```text",
            columns(("fork", "cases", "passed", "failed", "skipped"), rows),
            "```",
            "",
            f"{processor_s:.0f} s of processor time, {wall_s:.0f} s in all with {core_count()} threads, on",
            f"{platform.machine()} with CPython {platform.python_version()};",
            f"engine: {described}.",
        )
    )


def main() -> int:
    """Run the whole archive and write its results into the document."""
    folder = Path(os.environ.get("METIS_FIXTURES", CHECKOUT.parent / "shared" / "fixtures"))
    began_s = time.monotonic()
    report = run_state_tests(fixture_files([folder / ARCHIVE_NAME]), workers=core_count())
    text = DOCUMENT.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN, 1)[0], text.split(END, 1)[1]
    results = results_text(report, time.monotonic() - began_s, time.process_time())
    DOCUMENT.write_text(f"{head}{BEGIN}\n{results}\n{END}{tail}", encoding="utf-8")
    print(results)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
