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

    Implementations: ``sequential`` (:class:`metis.sdk.parts.SequentialExecutor`).
    """

    @property
    def name(self) -> str:
        """The name it is composed by."""

    @property
    def scheduler(self) -> object | None:
        """
        The engine's handle of the schedule, or None for one after the other on the calling thread.

        An engine that does not know the handle refuses the network when it is composed.
        """
