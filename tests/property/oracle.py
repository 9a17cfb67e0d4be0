"""
What the engine is compared with: Python's own Ethereum encoding, hashing and signing.

One place, because these packages come without types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import rlp as _rlp  # type: ignore[import-untyped]
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

__all__ = ["PrivateKey", "big_endian", "decode_rlp", "encode_rlp", "keccak"]


def encode_rlp(item: bytes | Sequence[Any]) -> bytes:
    """RLP of nested lists of bytes."""
    return cast(bytes, _rlp.encode(item))


def decode_rlp(data: bytes) -> Any:
    """Nested lists of bytes of an RLP encoding."""
    return _rlp.decode(data)


def big_endian(value: int) -> bytes:
    """Integer as RLP wants it: no leading zero bytes."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
