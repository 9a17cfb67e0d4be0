"""Chapters that are what a command of ``metis`` measures, beside its rivals in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from benches.chapter import CHECKOUT, Chapter, Effort, Measured, NotMeasured, block
from benches.tables import as_table

_METIS: Final = Path(sys.executable).with_name("metis")


def measured_by(*command: str) -> Any:
    """
    Return what ``metis COMMAND --json`` prints; its progress goes to standard error.

    Raises
    ------
    NotMeasured
        Where it fails.
    """
    ended = subprocess.run([_METIS, *command, "--json"], cwd=CHECKOUT, check=False, stdout=subprocess.PIPE)
    if ended.returncode:
        raise NotMeasured(f"metis {' '.join(command)} ended with {ended.returncode}")
    return json.loads(ended.stdout)


def text_of(line: str, found: Any, hidden: frozenset[str] = frozenset()) -> str:
    """The command, and the table of its rows."""
    lines = [f"`metis {line}`:\n", block(as_table(found["rows"], hidden))]
    lines += [f"{name}: {words}.\n" for name, words in found.get("bottlenecks", {}).items()]
    lines += [f"Not measured: {one['name']}: {one['reason']}.\n" for one in found.get("skipped", ())]
    return "\n".join(lines)


def _chapter(full: tuple[str, ...], quick: tuple[str, ...], hidden: frozenset[str] = frozenset()) -> Chapter:
    """Make a chapter of commands, as they are written in a shell; with less effort only the quick one runs."""

    def measure(effort: Effort) -> Measured:
        lines = full if effort is Effort.FULL else quick
        found = {line: measured_by(*line.split()) for line in lines}
        return Measured("\n".join(text_of(line, found[line], hidden) for line in lines), found)

    return measure


NODE: Final = _chapter(full=("bench node --rounds 3",), quick=("bench node --rounds 1",))
RPC: Final = _chapter(full=("bench rpc --seconds 1 --rounds 5",), quick=("bench rpc --seconds 0.2 --rounds 1",))
EXECUTOR: Final = _chapter(full=("bench executor",), quick=("bench executor --rounds 1 --scale 20",))
INFERENCE: Final = _chapter(
    full=("bench inference",), quick=("bench inference --rounds 1",), hidden=frozenset({"minimum_ms"})
)
DATABASE: Final = _chapter(
    full=("bench db", "bench db --accounts 10000000"), quick=("bench db --accounts 10000 --slots 10000",)
)
