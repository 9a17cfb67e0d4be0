"""
The command ``metis``: one file per command.

In: arguments. Out: text for people, or with ``--json`` one JSON object; an exit code that says how
it ended. Invariant: a command's module is imported when it is called, so that ``metis --help``
loads neither the engine nor what only one command needs. Cost: that of the command.
"""

from metis.cli.app import main

__all__ = ["main"]
