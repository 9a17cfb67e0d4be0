"""
Hot codes → cache or worker → registry, on threads of its own.

A thread waits in the engine, without the interpreter lock, until something is hot; it then looks into the
cache or asks its worker. Nothing that goes wrong here reaches the chain.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Final

from metis.engine import CodeRegistry
from metis.types import ArtifactRejected
from metis.vm.tiering.policy import Policy
from metis.vm.tiering.workers import Worker

if TYPE_CHECKING:
    from metis.vm.tiering.cache import ArtifactCache

__all__ = ["CompileService", "registry_of"]

WAIT_MS: Final = 100
"""How long a thread waits in the engine before it looks whether to stop."""

_logger = logging.getLogger(__name__)


def registry_of(policy: Policy) -> CodeRegistry:
    """Make the registry that executions under a policy share."""
    return CodeRegistry(policy.mode, policy.hot_gas)


class CompileService:
    """
    Compiles what gets hot in a registry.

    Parameters
    ----------
    registry : given to the node's executions too.
    policy : mode, workers, cache.
    """

    def __init__(self, registry: CodeRegistry, policy: Policy) -> None:
        self.registry = registry
        self._policy = policy
        self._is_stopping = threading.Event()
        self._cache: ArtifactCache | None = None
        if policy.cache_folder is not None and policy.mode != "off":
            # What names artifacts after compiler and LLVM costs more to import than the rest of this package.
            from metis.vm.tiering.cache import ArtifactCache

            self._cache = ArtifactCache(policy.cache_folder, policy.cache_size_bytes_max)
        self._workers: list[Worker] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads; processes start when they are first needed. In mode "off" nothing starts."""
        if self._policy.mode == "off":
            return
        for number in range(self._policy.worker_count):
            worker = Worker(level=self._policy.level)
            thread = threading.Thread(target=self._serve, args=(worker,), name=f"metis-compile-{number}", daemon=True)
            self._workers.append(worker)
            self._threads.append(thread)
            thread.start()

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def close(self) -> None:
        """Stop: compilations in progress are given up, what is installed stays."""
        self._is_stopping.set()
        for worker in self._workers:
            worker.close()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._workers.clear()

    def _serve(self, worker: Worker) -> None:
        try:
            while not self._is_stopping.is_set():
                for code_hash, fork, code in self.registry.take_hot(WAIT_MS, 1):
                    self._settle(worker, code_hash, fork, code)
        finally:
            worker.close()

    def _settle(self, worker: Worker, code_hash: bytes, fork: str, code: bytes) -> None:
        """Install a code's machine code or refuse it, whatever happens."""
        artifact = self._cache.load(code_hash, fork) if self._cache is not None else None
        if artifact is not None and self._install(code_hash, fork, artifact, is_last=False):
            return
        answer = worker.compile(code, fork)
        if self._is_stopping.is_set():
            return
        if answer.artifact is None:
            self.registry.refuse(code_hash, fork, answer.reason)
        elif self._install(code_hash, fork, answer.artifact, is_last=True) and self._cache is not None:
            self._cache.store(code_hash, fork, answer.artifact)

    def _install(self, code_hash: bytes, fork: str, artifact: bytes, *, is_last: bool) -> bool:
        try:
            self.registry.install(artifact)
        except ArtifactRejected as rejection:
            _logger.warning("compiled code of %s is not taken: %s", code_hash.hex(), rejection)
            if is_last:
                self.registry.refuse(code_hash, fork, str(rejection))
            return False
        return True

    def __enter__(self) -> CompileService:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
