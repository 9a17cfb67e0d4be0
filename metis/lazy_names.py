"""Packages whose public names are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """
    Make the ``__getattr__`` (PEP 562) of a package that imports its modules late.

    A class with generated methods takes the better part of a millisecond to make, and a node needs few
    of them before it answers.

    Parameters
    ----------
    package : its full name. homes : module of the package → names that are public in the package.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def find(name: str) -> Any:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f"{package}.{home}"), name)
        # Found once is found for good: the next use is a plain attribute.
        setattr(sys.modules[package], name, found)
        return found

    return find
