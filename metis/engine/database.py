"""MetisDB's files: looking at them, and torturing them."""

from __future__ import annotations

from metis.engine._native import check_database, inspect_database, torture_database, write_database

__all__ = ["check_database", "inspect_database", "torture_database", "write_database"]
