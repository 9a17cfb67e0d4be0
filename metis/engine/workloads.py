"""Generated blocks, run by plain revm and by the engine's executors; executors beside each other."""

from __future__ import annotations

from metis.engine._native import Workload, compare_executors, fuzz_executor

__all__ = ["Workload", "compare_executors", "fuzz_executor"]
