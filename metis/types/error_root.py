"""The root of all errors; :mod:`metis.types.errors` shows the tree."""

from __future__ import annotations

__all__ = ["MetisError"]


class MetisError(Exception):
    """Root of every error that this package raises on purpose."""

    slug = "metis-error"
