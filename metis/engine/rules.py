"""
Which rules hold at which block.

:class:`ChainSpec` is a handle: made once per chain, from a genesis document or a fork's name, and
passed to every call that runs code. It is immutable and may be shared between threads.
"""

from __future__ import annotations

from metis.engine import _native

__all__ = ["ChainSpec", "build_info", "fork_names"]

ChainSpec = _native.ChainSpec


def fork_names() -> tuple[str, ...]:
    """Every fork whose rules the engine implements, oldest first: "Frontier" to the newest."""
    return tuple(_native.fork_names())


def build_info() -> dict[str, str]:
    """
    Describe how this engine was built.

    Returns
    -------
    Version, cargo profile, target, CPU features in use, and the version of revm, by name: what a
    bug report or a benchmark result must say.
    """
    return _native.build_info()
