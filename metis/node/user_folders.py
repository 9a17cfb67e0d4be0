"""Where a user's files of Metis are, by the XDG Base Directory Specification."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["user_cache", "user_data"]


def user_cache(name: str) -> Path:
    """A folder of what can be made again: below XDG_CACHE_HOME, or ~/.cache."""
    return _base("XDG_CACHE_HOME", ".cache") / "metis" / name


def user_data(name: str) -> Path:
    """A folder of what is the user's: below XDG_DATA_HOME, or ~/.local/share."""
    return _base("XDG_DATA_HOME", ".local/share") / "metis" / name


def _base(variable: str, below_home: str) -> Path:
    value = os.environ.get(variable, "")
    # SPEC: a relative path is to be ignored.
    return Path(value) if value.startswith("/") else Path.home() / below_home
