"""In which order, and on which threads, a block's transactions run."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["Executor"]


@runtime_checkable
class Executor(Protocol):
    """
    A schedule for the transactions of a block.

    Promises: receipts, logs, gas, state and root equal those of running the transactions one after
    the other, for every block, thread count and schedule.

    Implementations: ``sequential`` (:class:`metis.sdk.parts.SequentialExecutor`), ``parallel``
    (:class:`metis.sdk.parts.ParallelExecutor`).
    """

    @property
    def name(self) -> str:
        """The name it is composed by."""

    @property
    def workers(self) -> int:
        """Threads for the transactions of a block: 0 for one on each core, 1 for one after the other."""
