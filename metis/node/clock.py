"""
What time it is for new blocks: the system's clock, moved.

In: the time that tests want. Out: timestamps, which always grow. Invariant: a timestamp that was asked
for is used by exactly one block, and time goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

__all__ = ["Clock", "ClockSetting"]


@dataclass(frozen=True, slots=True)
class ClockSetting:
    """
    How a clock is set.

    Attributes
    ----------
    offset_s : how far it is ahead of the system's.
    next_s : the next block's timestamp, or None. interval_s : between blocks, or None for the clock's time.
    """

    offset_s: int = 0
    next_s: int | None = None
    interval_s: int | None = None


class Clock:
    """A clock that tests can move; times are seconds since the Unix epoch."""

    def __init__(self, system_s: Callable[[], float] = time.time) -> None:
        self._system_s = system_s
        self.setting = ClockSetting()

    @property
    def now_s(self) -> int:
        """The time."""
        return int(self._system_s()) + self.setting.offset_s

    def next_s(self, parent_s: int) -> int:
        """Timestamp of a block that is built now on a parent."""
        if self.setting.next_s is not None and self.setting.next_s > parent_s:
            return self.setting.next_s
        if self.setting.interval_s is not None:
            return parent_s + max(self.setting.interval_s, 1)
        return max(self.now_s, parent_s + 1)

    def used(self, timestamp_s: int) -> None:
        """Tell that a block has this timestamp; one that was asked for is used up, and time goes on from it."""
        if self.setting.next_s is not None:
            self.set_now(timestamp_s)

    def set_now(self, now_s: int) -> None:
        """Move the clock to a time."""
        self.setting = replace(self.setting, offset_s=now_s - int(self._system_s()), next_s=None)

    def advance(self, seconds: int) -> None:
        """Move the clock; a timestamp that was asked for stays."""
        self.setting = replace(self.setting, offset_s=self.setting.offset_s + seconds)

    def choose_next(self, timestamp_s: int) -> None:
        """Decide the next block's timestamp."""
        self.setting = replace(self.setting, next_s=timestamp_s)

    def set_interval(self, interval_s: int | None) -> None:
        """Let each block be so many seconds after its parent, or go by the clock again."""
        self.setting = replace(self.setting, interval_s=interval_s)
