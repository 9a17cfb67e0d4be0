"""
Everything compiled before it counts: how state tests show that compiled code is right.

Tests are run once to see which codes they meet, contracts made on the way included; these are compiled in
processes, each code once; then the tests run again. That goes on until a run meets no code that is new.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from metis import engine
from metis.types import ArtifactRejected
from metis.vm.tiering.workers import Worker

__all__ = ["EAGER_LEVEL", "CompiledRun", "compile_met"]

EAGER_LEVEL = 0
"""LLVM's optimisation level here: thousands of codes that run once each."""


@dataclass(slots=True)
class CompiledRun:
    """
    What was compiled, and how the last run used it.

    Attributes
    ----------
    codes : codes met, per fork. refusals : reason → codes that were not compiled for it.
    frames_compiled, frames_interpreted : frames with code, by how they began.
    deoptimisations : cause → count.
    compile_ms : CPU time of all compilations.
    longest_compile_ms : CPU time of the longest of them.
    """

    codes: int = 0
    refusals: dict[str, int] = field(default_factory=dict)
    frames_compiled: int = 0
    frames_interpreted: int = 0
    deoptimisations: dict[str, int] = field(default_factory=dict)
    compile_ms: float = 0.0
    longest_compile_ms: float = 0.0
    _before: tuple[int, int, dict[str, int]] = (0, 0, {})

    @property
    def compiled_share(self) -> float:
        """Part of the frames with code that began in compiled code."""
        frames = self.frames_compiled + self.frames_interpreted
        return self.frames_compiled / frames if frames else 0.0

    def begin_run(self, registry: engine.CodeRegistry) -> None:
        """Remember the registry's counts, so that the next run's are told apart."""
        self._before = _counts(registry)

    def read(self, registry: engine.CodeRegistry) -> None:
        """Take the counts since :meth:`begin_run`."""
        compiled, interpreted, causes = _counts(registry)
        compiled_before, interpreted_before, causes_before = self._before
        self.frames_compiled = compiled - compiled_before
        self.frames_interpreted = interpreted - interpreted_before
        self.deoptimisations = {cause: count - causes_before.get(cause, 0) for cause, count in causes.items()}

    def refuse(self, reason: str) -> None:
        """Count a code that is not compiled."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1


def _counts(registry: engine.CodeRegistry) -> tuple[int, int, dict[str, int]]:
    compiled = interpreted = 0
    causes: dict[str, int] = {}
    for row in registry.report():
        compiled += row["frames_compiled"]
        interpreted += row["frames_interpreted"]
        for cause, count in row["deoptimisations"].items():
            causes[cause] = causes.get(cause, 0) + count
    return compiled, interpreted, causes


def compile_met(registry: engine.CodeRegistry, processes: int, run: CompiledRun, level: int = EAGER_LEVEL) -> int:
    """Compile all codes that a registry has met and does not know compiled; return how many there were."""
    waiting: SimpleQueue[tuple[bytes, str, bytes]] = SimpleQueue()
    count = 0
    while codes := registry.take_hot(0, 1 << 16):
        count += len(codes)
        for code in codes:
            waiting.put(code)
    if not count:
        return 0
    run.codes += count
    lock = threading.Lock()
    threads = [
        threading.Thread(target=_work, args=(registry, waiting, run, lock, level), name=f"eager-{number}")
        for number in range(max(1, min(processes, count)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count


def _work(
    registry: engine.CodeRegistry,
    waiting: SimpleQueue[tuple[bytes, str, bytes]],
    run: CompiledRun,
    lock: threading.Lock,
    level: int,
) -> None:
    with Worker(level=level, gives_way=False) as worker:
        while True:
            try:
                code_hash, fork, code = waiting.get_nowait()
            except Empty:
                return
            answer = worker.compile(code, fork)
            reason = answer.reason
            if answer.artifact is not None:
                try:
                    registry.install(answer.artifact)
                except ArtifactRejected as rejection:
                    reason = str(rejection)
            with lock:
                run.compile_ms += answer.compile_ms
                run.longest_compile_ms = max(run.longest_compile_ms, answer.compile_ms)
                if reason:
                    run.refuse(reason)
            if reason:
                registry.refuse(code_hash, fork, reason)
