"""Ethereum's hash function."""

from __future__ import annotations

from metis.engine import _native
from metis.types import Hash32

__all__ = ["keccak256"]


def keccak256(data: bytes) -> Hash32:
    """Ethereum's hash function (Keccak-256, not NIST SHA3-256) of any bytes; 32 bytes."""
    return Hash32(_native.keccak256(data))
