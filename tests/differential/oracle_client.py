"""The oracle process as seen by a test: start it, ask it, stop it."""

from __future__ import annotations

import json
import subprocess
from types import TracebackType
from typing import Any

from tests.differential.oracle_env import ROOT, oracle_python

__all__ = ["Oracle", "OracleCrash"]


class OracleCrash(Exception):
    """The specification raised something that is neither a result nor a refusal; holds its traceback."""


class Oracle:
    """
    One running oracle. Use as a context manager.

    Raises
    ------
    OSError : the environment is missing (``python -m tests.differential.oracle_env`` makes it).
    """

    def __init__(self) -> None:
        command = [str(oracle_python()), "-m", "tests.differential.oracle"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="ascii"
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """
        Send one request and wait for its answer.

        Raises
        ------
        OracleCrash : the specification crashed on this request; the process still serves others.
        """
        self.send(request)
        return self.receive()

    def send(self, request: dict[str, Any]) -> None:
        """Send one request without waiting; answers come in the same order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The answer to the oldest request that has none yet."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise OracleCrash("the oracle process ended; its standard error says why")
        answer: dict[str, Any] = json.loads(line)
        if "oracle_error" in answer:
            raise OracleCrash(answer["oracle_error"])
        return answer

    def close(self) -> None:
        """End the process and wait for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Oracle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
