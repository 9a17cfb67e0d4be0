"""What a node writes to its folder beside the blocks themselves: group commits, and the state now and then."""

from __future__ import annotations

import asyncio
import logging
import time

from metis.engine import Node
from metis.node.config import StorageConfig

__all__ = ["Saving", "tell_of_state"]

log = logging.getLogger(__name__)


class Saving:
    """Saves regularly while the node runs; one checkpoint at a time, beside the commits."""

    def __init__(self, node: Node, config: StorageConfig) -> None:
        self.node = node
        self.config = config
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, where there is a folder."""
        if self.config.path:
            self._task = asyncio.create_task(self._save_regularly())

    def stop(self) -> None:
        """Begin nothing any more. What is being written is finished, or done again by closing the node."""
        if self._task is not None:
            self._task.cancel()

    async def _save_regularly(self) -> None:
        checkpoint: asyncio.Task[None] | None = None
        while True:
            await asyncio.sleep(self.config.sync_interval_ms / 1_000)
            if self.config.durability == "group":
                try:
                    await asyncio.to_thread(self.node.tick, int(time.monotonic() * 1_000))
                except Exception:
                    log.exception("making the chain durable failed")
            if checkpoint is None or checkpoint.done():
                checkpoint = asyncio.create_task(self._checkpoint())

    async def _checkpoint(self) -> None:
        try:
            await asyncio.to_thread(self.node.checkpoint_if_due, self.config.checkpoint_block_count)
        except Exception:
            # Nothing is lost: the blocks are kept, and a start takes longer.
            log.exception("writing the state failed")


def tell_of_state(node: Node) -> None:
    """Log what became of the state in the folder, where it was of no use."""
    replayed_count, problem = node.state_report()
    if problem is not None:
        log.warning("the state was made again from the blocks", extra={"problem": problem, "states": replayed_count})
