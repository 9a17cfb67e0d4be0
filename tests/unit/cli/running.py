"""Running the command line as users do, in a process of its own, or faster inside the test's."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from metis.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    exit_code: int
    out: str
    err: str

    @property
    def object(self) -> Any:
        """The one JSON value that was printed."""
        assert self.out.endswith("\n")
        assert self.out.count("\n") == 1, self.out
        return orjson.loads(self.out)


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Run ``metis ARGUMENTS`` inside this process."""
    exit_code = main(arguments)
    printed = capsys.readouterr()
    return Ended(exit_code, printed.out, printed.err)


def run_process(*arguments: str, python: tuple[str, ...] = ("-m", "metis.cli")) -> Ended:
    """Run ``python -m metis.cli ARGUMENTS``, or another piece of Python, in a process of its own."""
    ended = subprocess.run([sys.executable, *python, *arguments], check=False, capture_output=True, text=True)
    return Ended(ended.returncode, ended.stdout, ended.stderr)
