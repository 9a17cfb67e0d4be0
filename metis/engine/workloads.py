"""Generated blocks, run by plain revm and by the engine's executors."""

from __future__ import annotations

from metis.engine._native import Workload, fuzz_executor

__all__ = ["Workload", "fuzz_executor"]
