"""A node in a process of its own: started, killed, started again, and never left behind."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from metis.cli.demo.interruption import ENDING
from metis.types import UpstreamError

__all__ = ["NodeProcess", "ended", "spawned", "uninterrupted"]

_STOP_TIMEOUT_S = 20.0


class NodeProcess:
    """
    ``metis dev`` on a free port.

    Parameters
    ----------
    options : of the command. environment : over this process's own. log : gets what it writes to stderr.
    """

    def __init__(self, options: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = [sys.executable, "-m", "metis.cli", "dev", "--port", "0", "--json", *options]
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self.started: dict[str, Any] = {}
        atexit.register(self.kill)

    @property
    def url(self) -> str:
        """Where it answers."""
        return str(self.started["http"])

    def start(self) -> None:
        """
        Start it and wait until it answers.

        Raises
        ------
        UpstreamError : it ended before.
        """
        with self._log.open("a") as log, uninterrupted():
            self._process = spawned(self._command, subprocess.PIPE, log, self._environment)
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        self.started = json.loads(line) if line else {}
        if "http" not in self.started:
            self.kill()
            raise UpstreamError("unreachable", "metis dev", f"it ended at its start; {self._log} says why")

    def kill(self) -> None:
        """End it as a power cut would, compile workers included."""
        self._end(signal.SIGKILL)

    def stop(self) -> int | None:
        """End it in order; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int | None:
        process, self._process = self._process, None
        return None if process is None else ended(process, how)


def spawned(
    command: Sequence[str], output: int | IO[str], log: IO[str], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a command that has ``--until-eof``; hold back what interrupts meanwhile (:func:`uninterrupted`)."""
    return subprocess.Popen(  # noqa: S603 - this program itself
        [*command, "--until-eof"],
        # Nothing is written to it: it ends with this process, however that ends, and the command with it.
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=log,
        text=True,
        env=environment,
        # Ctrl-C reaches the demonstration alone, which then ends what it started in order.
        start_new_session=True,
    )


@contextmanager
def uninterrupted() -> Iterator[None]:
    """
    Hold back Ctrl-C and SIGTERM while a process is started: nobody would end one that has no name yet.

    The process does not inherit this: a handler is gone in a new program.
    """
    held: list[int] = []
    heeded = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, _frame: held.append(number)) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if held:
        raise KeyboardInterrupt


def ended(process: subprocess.Popen[Any], how: signal.Signals = signal.SIGTERM) -> int:
    """End a process that leads its own group; where it does not end in time, all of the group. Its exit code."""
    try:
        if how is signal.SIGKILL:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.send_signal(how)
        code = process.wait(_STOP_TIMEOUT_S)
    except ProcessLookupError:
        code = process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        code = process.wait(_STOP_TIMEOUT_S)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    return code
