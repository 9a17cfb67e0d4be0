"""
When contracts are compiled, and with how many processes.

Heat is counted by the engine, in gas spent in tier 0: a contract that burns a million gas there has cost
about a millisecond, and one that goes on like that soon pays for seconds of a worker's time beside the chain.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from metis.types import CompositionError

__all__ = ["MODES", "Policy"]

MODES: Final = ("off", "auto", "eager")
"""off: everything is interpreted. auto: what is hot is compiled. eager: whatever is met is compiled, for tests."""

WORKERS_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How a node compiles.

    Attributes
    ----------
    mode : one of :data:`MODES`.
    hot_gas : gas in tier 0 after which a contract is hot; None takes the engine's default.
    workers : processes; 0 takes one for two cores, at most four.
    level : LLVM's optimisation level, 0 to 2.
    cache_folder : where artifacts are kept between runs; None keeps none.
    cache_size_bytes_max : disk space for them.
    """

    mode: str = "auto"
    hot_gas: int | None = None
    workers: int = 0
    level: int = 2
    cache_folder: Path | None = None
    cache_size_bytes_max: int = 1 << 30

    def __post_init__(self) -> None:
        """
        Refuse an unknown mode.

        Raises
        ------
        CompositionError : the mode is not one of :data:`MODES`.
        """
        if self.mode not in MODES:
            raise CompositionError("VirtualMachine", self.mode, f"no such mode; choose one of {', '.join(MODES)}")

    @property
    def worker_count(self) -> int:
        """Processes to start."""
        return self.workers or max(1, min(WORKERS_MAX, (os.cpu_count() or 1) // 2))
