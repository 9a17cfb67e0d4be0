"""
Names for bare numbers and byte strings, so that none crosses a public boundary unnamed.

They cost nothing at run time; mypy keeps them apart.
"""

from typing import NewType

__all__ = ["Address", "BlockNumber", "Gas", "Hash32", "TimestampS", "Wei"]

Address = NewType("Address", bytes)
"""20 bytes."""

Hash32 = NewType("Hash32", bytes)
"""32 bytes: a Keccak-256 hash or a trie root."""

Wei = NewType("Wei", int)
"""10**-18 of the native gas token (METIS on Metis networks); in [0, 2**256)."""

Gas = NewType("Gas", int)
"""Units of gas; in [0, 2**64)."""

BlockNumber = NewType("BlockNumber", int)
"""Height; the genesis block is 0."""

TimestampS = NewType("TimestampS", int)
"""Seconds since the Unix epoch."""
