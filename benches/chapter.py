"""A chapter of docs/benchmarks.md: what was measured, where, by which command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from metis.cli.bench.machine import commit, machine
from metis.engine import build_info

CHECKOUT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = CHECKOUT / "docs" / "benchmarks.md"
RESULTS: Final = CHECKOUT / "build" / "bench"


class NotMeasured(Exception):
    """A chapter cannot be measured here; its text says why."""


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What a chapter found.

    Attributes
    ----------
    text : Markdown for the document.
    data : the same and more, for programs.
    """

    text: str
    data: Any


class Effort(Enum):
    """How long to measure."""

    FULL = "full"
    QUICK = "quick"
    """The fewest rounds, to try it."""


Chapter: TypeAlias = Callable[[Effort], Measured]
"""Measures. Raises :class:`NotMeasured`."""


def block(table: str) -> str:
    """A table as it stands in the document."""
    return f"```text\n{table}\n```\n"


def origin() -> str:
    """Where numbers are from. Asked before anything is written, which makes the checkout another than the commit."""
    return f"{machine()}; commit {commit()}."


def write(name: str, found: Measured, origin: str, document: Path = DOCUMENT) -> None:
    """
    Put a chapter's tables between its marks in the document, with machine and commit.

    Raises
    ------
    NotMeasured
        Where the document has no such chapter.
    """
    begins, ends = f"<!-- {name}: written by make bench -->\n", f"<!-- end of {name} -->\n"
    before, begin, rest = document.read_text(encoding="utf-8").partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise NotMeasured(f"{document.name} has no marks of a chapter {name}")
    text = f"{found.text}\n{origin}\n"
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def save(name: str, found: Measured, origin: str) -> Path:
    """Keep what was found with its origin; returns the file, under build/bench."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    command = ["python", "-m", "benches", *sys.argv[1:]]
    document = {"origin": origin, "command": command, "engine": build_info(), "found": found.data}
    path = RESULTS / f"{name}.json"
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return path


def workload_folder() -> Path:
    """
    Where the EVM workloads are (docs/testing.md).

    Raises
    ------
    NotMeasured
        Where they are not.
    """
    fixtures = Path(os.environ.get("METIS_FIXTURES", CHECKOUT.parent / "shared" / "fixtures"))
    folder = fixtures / "evm-workloads"
    if not folder.is_dir():
        raise NotMeasured(f"no workloads at {folder}: set METIS_FIXTURES")
    return folder
