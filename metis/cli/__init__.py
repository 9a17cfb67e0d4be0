"""
The command ``metis``: one file per command.

In: arguments. Out: text for people, or with ``--json`` one JSON object; an exit code that says how
it ended. Invariant: a command's module is imported when it is called, so that ``metis --help``
loads neither the engine nor what only one command needs. Cost: that of the command.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line and return its exit code; nothing but that escapes.

    Parameters
    ----------
    arguments : without the program's name; None takes the process's own.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["dev"]:
        # A node should answer at once: it starts without the parser of the other commands, which
        # costs more to import than the node itself. What it imports stays, so looking for garbage among it
        # (a tenth of the start) waits until the node answers.
        gc.disable()
        try:
            from metis.cli.dev import run_dev

            return run_dev(arguments[1:])
        finally:
            gc.enable()
    from metis.cli.app import main as run_app

    return run_app(arguments)
