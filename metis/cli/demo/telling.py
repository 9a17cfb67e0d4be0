"""How the story is told while it happens; :mod:`terminal` and :mod:`json_lines` are the ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from metis.cli.demo.results import Results

__all__ = ["Telling"]


class Telling(Protocol):
    """Told of each step when it begins, while it goes on, and when it is done."""

    def begin(self, name: str, title: str, /) -> None:
        """A step begins: its name for programs, its title for people."""

    def progress(self, text: str, /) -> None:
        """What is going on in it."""

    def done(self, proves: str, facts: Mapping[str, Any]) -> None:
        """
        It is done.

        Parameters
        ----------
        proves : what it shows, in one line. facts : what was measured, for people and programs.
        """

    def left_out(self, why: str) -> None:
        """It could not be done here, and nothing is wrong."""

    def end(self, results: Results) -> None:
        """The story is over."""
