"""Failures of the node's own files and settings."""

from __future__ import annotations

from metis.types import MetisError

__all__ = ["ConfigError"]


class ConfigError(MetisError):
    """
    A setting is bad, missing or unknown.

    Attributes
    ----------
    field : dotted path, such as "mining.mode". problem : what is wrong with it.
    """

    slug = "config"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"configuration: field {field!r}: {problem}")
        self.field = field
        self.problem = problem
