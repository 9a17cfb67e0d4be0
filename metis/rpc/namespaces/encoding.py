"""Values → JSON text, for the few answers that are not written by the engine."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["hex_data", "hex_word", "json_array", "json_or_null"]

NULL_JSON = b"null"


def hex_data(value: bytes) -> str:
    """Bytes as "0x" and hexadecimal digits."""
    return "0x" + value.hex()


def hex_word(value: int) -> str:
    """A storage value as 32 bytes."""
    return f"0x{value:064x}"


def json_or_null(text: bytes | None) -> bytes:
    """The engine's JSON, or null where there is no such object."""
    return NULL_JSON if text is None else text


def json_array(elements: Iterable[bytes]) -> bytes:
    """Join encoded values into an array."""
    return b"[" + b",".join(elements) + b"]"
