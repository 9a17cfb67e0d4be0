"""
Threads for calls that free the GIL, with less ceremony than futures.

In: jobs from the event loop. Out: their callbacks, on the event loop. Invariant: a job that was
submitted calls back exactly once, unless the pool is stopped first. Cost: one queue operation and
at most one wake-up of the loop per job; jobs that finish together share a wake-up.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from queue import SimpleQueue
from typing import Protocol

__all__ = ["CallPool", "Job"]

log = logging.getLogger("metis.rpc")


class Job(Protocol):
    """Work for a thread and what follows it on the loop."""

    def run(self) -> None:
        """Do the work, on a pool thread."""

    def finish(self) -> None:
        """Take the result, on the event loop."""


class CallPool:
    """
    A fixed number of threads that run jobs in the order they come.

    Threads are daemons: an engine call cannot be interrupted, and must not keep a stopping node alive.
    """

    def __init__(self, thread_count: int, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._finished: deque[Job] = deque()
        self._wake_up_due = False
        self._stopped = False
        self.waiting_count = 0
        """Jobs submitted and not finished; read and written on the loop only."""
        self._threads = [
            threading.Thread(target=self._work, name=f"metis-rpc-{index}", daemon=True) for index in range(thread_count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job. BOUND: the dispatcher refuses calls past ``pool_queue_count_max``."""
        self.waiting_count += 1
        self._queue.put(job)

    def stop(self) -> None:
        """Let the threads end after the job they are in. Queued jobs are dropped, without callback."""
        self._stopped = True
        for _ in self._threads:
            self._queue.put(None)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None and not self._stopped:
            try:
                job.run()
            except BaseException:
                log.exception("a pool job failed outside its handler")
            self._finished.append(job)
            # ORDER: append before reading the flag; _collect clears the flag before it empties the
            # deque. So either this thread wakes the loop, or a pending _collect will see the job.
            if not self._wake_up_due:
                self._wake_up_due = True
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:
                    return  # the loop is closed: nobody waits any more

    def _collect(self) -> None:
        self._wake_up_due = False
        finished = self._finished
        while finished:
            self.waiting_count -= 1
            finished.popleft().finish()
