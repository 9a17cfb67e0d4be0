"""
A bounded record of blocks and transactions as they came, which polling filters read at their own pace.

In: every head that was added or removed, every transaction that entered the pool. Out: what came since
a position. Invariant: written on the event loop's thread; positions only grow, so a filter is a number.
Cost: an append per event, whatever the number of filters.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from metis.types import Hash32

__all__ = ["Happenings", "HeadChange", "Record"]

T = TypeVar("T")

HEAD_COUNT_MAX = 65_536
PENDING_COUNT_MAX = 65_536


@dataclass(frozen=True, slots=True)
class HeadChange:
    """A block that became canonical, or with ``is_removed`` ceased to be."""

    number: int
    hash: Hash32
    is_removed: bool = False


class Record(Generic[T]):
    """The last ``count_max`` events, by position."""

    def __init__(self, count_max: int) -> None:
        self._events: deque[T] = deque(maxlen=count_max)
        self._end = 0

    @property
    def end(self) -> int:
        """Position of the next event."""
        return self._end

    def append(self, event: T) -> None:
        """Add an event; past the bound the oldest is forgotten."""
        self._events.append(event)
        self._end += 1

    def since(self, position: int) -> list[T]:
        """Return the events from a position on; those already forgotten are missing."""
        wanted = min(self._end - position, len(self._events))
        return [self._events[index] for index in range(len(self._events) - wanted, len(self._events))]


class Happenings:
    """What the node saw: ``heads`` and ``pending`` (hashes of transactions that entered the pool)."""

    def __init__(self) -> None:
        self.heads: Record[HeadChange] = Record(HEAD_COUNT_MAX)
        self.pending: Record[Hash32] = Record(PENDING_COUNT_MAX)
