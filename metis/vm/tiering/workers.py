"""
Compile workers: processes that the node starts, limits, kills and replaces.

The node never imports LLVM; a worker that crashes, hangs or eats memory costs one contract its machine
code and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, cast

if TYPE_CHECKING:
    from metis.vm.tiering.messages import Answer

__all__ = ["CPU_LIMIT_S", "Worker"]

CPU_LIMIT_S: Final = 10
"""CPU seconds for one contract; the kernel kills the worker beyond it."""

WALL_LIMIT_S: Final = 600
"""Seconds for one contract by the clock, for a worker that hangs without using CPU. On a machine whose
processors are all busy, a worker that does not hang may need many times its CPU seconds."""

LOWEST_PRIORITY: Final = 19
"""The greatest value of nice(2)."""


class Worker:
    """
    One process that compiles one contract at a time; it is started when it is first needed.

    Parameters
    ----------
    gives_way : whether it runs only when nobody else wants the processor. Not where its caller waits for it.
    """

    def __init__(
        self,
        *,
        level: int = 2,
        cpu_limit_s: int = CPU_LIMIT_S,
        wall_limit_s: float = WALL_LIMIT_S,
        gives_way: bool = True,
    ) -> None:
        self._level = level
        self._gives_way = gives_way
        self._cpu_limit_s = cpu_limit_s
        self._wall_limit_s = wall_limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Process id, None while none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def compile(self, code: bytes, fork: str) -> Answer:
        """
        Compile a contract; never raises for what the contract or the worker does.

        A worker that dies or is killed gives an answer without artifact, and the next call starts another.
        """
        # Not with this module: a node imports it before anything is hot.
        from metis.vm.tiering.messages import Answer, Request, read_answer, write_request

        process = self._running()
        timer = threading.Timer(self._wall_limit_s, process.kill)
        timer.start()
        try:
            write_request(cast(BinaryIO, process.stdin), Request(code, fork, self._level, self._cpu_limit_s))
            answer = read_answer(cast(BinaryIO, process.stdout))
        except OSError:
            answer = None
        finally:
            timer.cancel()
        if answer is None:
            self._discard()
            return Answer(None, "the compile worker was killed: too much time or memory", self._cpu_limit_s * 1000)
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                _end(self._process)
                self._process = None
            if self._process is None:
                self._process = subprocess.Popen(
                    # -P: what lies in the current folder is not imported.
                    [sys.executable, "-P", "-m", "metis.vm.compiler.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
                if self._gives_way:
                    _give_way(self._process.pid)
            return self._process

    def _discard(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            _end(process)

    def close(self) -> None:
        """End the process; a compilation in progress ends with an answer without artifact."""
        self._discard()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _give_way(pid: int) -> None:
    """
    Let a process run only when nobody else wants the processor: the chain and the node's answers never wait for it.

    Set by the parent, so that it holds for what the process imports first, too.
    """
    # It may have ended already: then there is nothing to slow down.
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "linux":
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
        else:
            os.setpriority(os.PRIO_PROCESS, pid, LOWEST_PRIORITY)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            # What was not yet written has nobody to go to.
            with contextlib.suppress(OSError):
                pipe.close()
