"""MetisDB's files: looking at them, moving states out and in, giving room back, and torturing them."""

from __future__ import annotations

from metis.engine._native import (
    StateExport,
    StateImport,
    check_database,
    database_stats,
    inspect_database,
    prune_database,
    torture_database,
    write_database,
)

__all__ = [
    "StateExport",
    "StateImport",
    "check_database",
    "database_stats",
    "inspect_database",
    "prune_database",
    "torture_database",
    "write_database",
]
