"""
Typed access to a fixture's JSON: quantities, bytes, addresses, hashes, each checked where it is read.

Fixtures spell quantities as hex with or without leading zeros, ``0x`` or an empty string for zero,
decimal strings in old files, and ``0x:bigint 0x…`` for those that do not fit 256 bits on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from metis.types import Address, Hash32

__all__ = [
    "MalformedField",
    "address_field",
    "bytes_field",
    "hash_field",
    "list_field",
    "object_field",
    "quantity_field",
]


class MalformedField(ValueError):
    """A field is missing or not what it should be; the file's name is added by the caller."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"field {field!r}: {problem}")
        self.field = field
        self.problem = problem


class _Required:
    """Marks a field without default."""


_REQUIRED: Final = _Required()
_BIGINT_PREFIX = "0x:bigint "


def quantity_field(
    body: Mapping[str, Any], field: str, default: int | _Required = _REQUIRED, bits: int | None = 256, inside: str = ""
) -> int:
    """Non-negative integer below 2**bits (bits None: of any size)."""
    value = body.get(field)
    if value is None:
        return cast(int, _default(default, field, inside))
    if not isinstance(value, str):
        raise MalformedField(_name(field, inside), "not a hex or decimal string")
    digits = value.removeprefix(_BIGINT_PREFIX)
    try:
        if digits.startswith("0x"):
            number = int(digits[2:], 16) if len(digits) > 2 else 0
        else:
            number = int(digits) if digits else 0
    except ValueError:
        raise MalformedField(_name(field, inside), f"{value[:80]!r} is not a quantity") from None
    if number < 0 or (bits is not None and number.bit_length() > bits):
        raise MalformedField(_name(field, inside), f"{value[:80]!r} is not in [0, 2**{bits})")
    return number


def bytes_field(body: Mapping[str, Any], field: str, default: bytes | _Required = _REQUIRED, inside: str = "") -> bytes:
    """Bytes in hex; the prefix 0x may be missing."""
    value = body.get(field)
    if value is None:
        return cast(bytes, _default(default, field, inside))
    if not isinstance(value, str):
        raise MalformedField(_name(field, inside), "not a hex string")
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except ValueError:
        raise MalformedField(_name(field, inside), f"{value[:80]!r} is not hex") from None


def address_field(body: Mapping[str, Any], field: str, inside: str = "") -> Address:
    """20 bytes."""
    return Address(_sized(bytes_field(body, field, inside=inside), 20, field, inside))


def hash_field(body: Mapping[str, Any], field: str, inside: str = "") -> Hash32:
    """32 bytes."""
    return Hash32(_sized(bytes_field(body, field, inside=inside), 32, field, inside))


def list_field(body: Mapping[str, Any], field: str, inside: str = "") -> list[Any]:
    """A JSON array."""
    value = body.get(field)
    if not isinstance(value, list):
        raise MalformedField(_name(field, inside), "missing" if value is None else "not a list")
    return value


def object_field(body: Mapping[str, Any], field: str, inside: str = "") -> dict[str, Any]:
    """A JSON object."""
    value = body.get(field)
    if not isinstance(value, dict):
        raise MalformedField(_name(field, inside), "missing" if value is None else "not an object")
    return value


def _sized(value: bytes, size_bytes: int, field: str, inside: str) -> bytes:
    if len(value) != size_bytes:
        raise MalformedField(_name(field, inside), f"{len(value)} bytes instead of {size_bytes}")
    return value


def _default(default: object, field: str, inside: str) -> object:
    if isinstance(default, _Required):
        raise MalformedField(_name(field, inside), "missing")
    return default


def _name(field: str, inside: str) -> str:
    return f"{inside}.{field}" if inside else field
