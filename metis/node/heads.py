"""
Who hears about new blocks: filters, subscribers, whoever waits for a transaction.

In: heads as they are built, imported or reorganised. Out: an entry in the record, notifications, woken
waiters. Invariant: on the event loop; a removed block's logs are announced with ``removed`` before those
of the block in its place. Cost: nothing is encoded where nobody subscribes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import orjson

from metis.engine import Node
from metis.rpc import SubscriptionHub
from metis.rpc.namespaces.happenings import Happenings, HeadChange
from metis.rpc.namespaces.public import PENDING_FULL_TOPIC
from metis.types import Hash32

__all__ = ["Heads"]

LOG_COUNT_MAX = 2**31


class Heads:
    """Spreads the news of one node."""

    def __init__(self, node: Node, happenings: Happenings, hub: SubscriptionHub) -> None:
        self._node = node
        self._happenings = happenings
        self._hub = hub
        self._changed = asyncio.Event()
        self.changed_ms = int(time.time() * 1_000)
        """When the head last changed, in milliseconds since the Unix epoch."""
        self.added_count = 0
        """Blocks that joined the canonical chain since the start."""
        self.removed_count = 0
        """Blocks that left it."""

    def pooled(self, transaction_hash: bytes) -> None:
        """Tell that a transaction entered the pool."""
        self._happenings.pending.append(Hash32(transaction_hash))
        if not self._hub.has_subscribers("newPendingTransactions"):
            return
        shown = orjson.dumps(f"0x{transaction_hash.hex()}")
        self._hub.publish("newPendingTransactions", transaction_hash, shown)
        whole = self._node.transaction_json(transaction_hash)
        if whole is not None:
            self._hub.publish("newPendingTransactions", PENDING_FULL_TOPIC, whole)

    def changed(self, added: Iterable[HeadChange], removed: Iterable[HeadChange] = ()) -> None:
        """Tell that blocks left the canonical chain (newest first) and others joined it (oldest first)."""
        self.changed_ms = int(time.time() * 1_000)
        for change in (*removed, *added):
            self._happenings.heads.append(change)
            if change.is_removed:
                self.removed_count += 1
            else:
                self.added_count += 1
            self._publish(change)
        self._changed.set()
        self._changed = asyncio.Event()

    async def next_change(self) -> None:
        """Wait until the chain changes."""
        await self._changed.wait()

    def _publish(self, change: HeadChange) -> None:
        hub = self._hub
        if not change.is_removed and hub.has_subscribers("newHeads"):
            header = self._node.header_json(change.hash)
            if header is not None:
                hub.publish("newHeads", change, header)
        if hub.has_subscribers("logs"):
            logs = self._node.block_logs_json(change.hash, (), (), LOG_COUNT_MAX)
            for entry in orjson.loads(logs or b"[]"):
                if change.is_removed:
                    entry["removed"] = True
                hub.publish("logs", _selectable(entry), orjson.dumps(entry))


def _selectable(entry: dict[str, Any]) -> dict[str, Any]:
    """What selectors compare: bytes instead of hexadecimal text."""
    return {
        "address": bytes.fromhex(entry["address"][2:]),
        "topics": [bytes.fromhex(topic[2:]) for topic in entry["topics"]],
    }
