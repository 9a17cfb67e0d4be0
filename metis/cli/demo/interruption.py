"""
Ctrl-C and SIGTERM, at any moment.

Python raises KeyboardInterrupt wherever it is, and where that is a callback of its own (a lock of an import, say), it
prints and forgets it. So it is remembered as well, and raised again when the story goes on.
"""

from __future__ import annotations

import signal
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metis.cli.demo.results import Results
    from metis.cli.demo.telling import Telling

__all__ = ["ENDING", "InterruptibleTelling"]

ENDING = (signal.SIGINT, signal.SIGTERM)
"""What ends the demonstration, in order."""


class InterruptibleTelling:
    """Another telling, which goes on only as long as nobody has interrupted it. Make it on the main thread."""

    def __init__(self, told: Telling) -> None:
        self._told = told
        self._is_interrupted = False
        for number in ENDING:
            # Ignored where the program was started in the background: then it is meant to be.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)

    def _interrupt(self, _number: int, _frame: types.FrameType | None) -> None:
        self._is_interrupted = True
        raise KeyboardInterrupt

    def _heed(self) -> None:
        if self._is_interrupted:
            raise KeyboardInterrupt

    def begin(self, name: str, title: str, /) -> None:
        """See :class:`Telling`."""
        self._heed()
        self._told.begin(name, title)

    def progress(self, text: str, /) -> None:
        """See :class:`Telling`."""
        self._heed()
        self._told.progress(text)

    def done(self, proves: str, facts: Mapping[str, Any]) -> None:
        """See :class:`Telling`."""
        self._heed()
        self._told.done(proves, facts)

    def left_out(self, why: str) -> None:
        """See :class:`Telling`."""
        self._heed()
        self._told.left_out(why)

    def end(self, results: Results) -> None:
        """See :class:`Telling`."""
        self._heed()
        self._told.end(results)
