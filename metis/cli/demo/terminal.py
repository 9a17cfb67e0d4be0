"""The story for people: one block of lines for each step, and tables at the end."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from metis.cli.demo.results import Results
from metis.cli.demo.tables import tables
from metis.cli.output import columns

__all__ = ["TerminalTelling"]

_WIDTH = 118


class TerminalTelling:
    """
    Writes to a terminal, or to a file without what would be overwritten there.

    Parameters
    ----------
    out : where to.
    """

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._step = 0
        self._shown = 0

    def begin(self, _name: str, title: str, /) -> None:
        """Write the step's number and title."""
        self._step += 1
        self._line(self._bold(f"{self._step}. {title}"))

    def progress(self, text: str, /) -> None:
        """Show what is going on, where it can be taken back."""
        if self._is_terminal:
            self._clear()
            self._out.write(f"   … {text}"[:_WIDTH])
            self._out.flush()
            self._shown = min(len(text) + 5, _WIDTH)

    def done(self, proves: str, facts: Mapping[str, Any]) -> None:
        """Write what was found."""
        self._clear()
        width = max(map(len, facts), default=0)
        for name, value in facts.items():
            self._line(f"   {name.ljust(width)}  {_short(str(value))}")
        self._line(f"   → {proves}\n")

    def left_out(self, why: str) -> None:
        """Write why."""
        self._clear()
        self._line(f"   left out: {why}\n")

    def end(self, results: Results) -> None:
        """Write the tables and the verdict."""
        for table in tables(results):
            self._line(self._bold(table.title))
            self._line(columns(table.headers, table.rows, left=table.left) + "\n")
        for problem in results.problems:
            self._line(f"WRONG: {problem}")
        self._line("Everything is as it should be." if results.ok else "Something is not as it should be.")

    def _bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._is_terminal else text

    def _clear(self) -> None:
        if self._shown:
            self._out.write("\r" + " " * self._shown + "\r")
            self._shown = 0

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def _short(value: str) -> str:
    """A hash by its ends."""
    return f"{value[:10]}…{value[-8:]}" if value.startswith("0x") and len(value) == 66 else value
