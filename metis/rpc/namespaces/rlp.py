"""The little of RLP that methods need: headers out of blocks, blocks out of payloads (Yellow Paper, appendix B)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from metis.types import DecodeError

__all__ = ["decoded", "encode_bytes", "encode_list", "encode_number", "first_item", "items_of_stream"]

_SHORT_MAX = 55


def encode_bytes(value: bytes) -> bytes:
    """Encode a string of bytes."""
    if len(value) == 1 and value[0] < 0x80:
        return value
    return _prefix(len(value), 0x80) + value


def encode_number(value: int) -> bytes:
    """Encode a number from 0."""
    return encode_bytes(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def encode_list(items: Iterable[bytes]) -> bytes:
    """Encode a list of items that are encoded already."""
    payload = b"".join(items)
    return _prefix(len(payload), 0xC0) + payload


def _prefix(size_bytes: int, base: int) -> bytes:
    if size_bytes <= _SHORT_MAX:
        return bytes([base + size_bytes])
    size = size_bytes.to_bytes((size_bytes.bit_length() + 7) // 8, "big")
    return bytes([base + _SHORT_MAX + len(size)]) + size


def decoded(encoded: bytes) -> Any:
    """Decode one item: strings as bytes, lists as lists."""
    start, end = _span(encoded, 0, "item")
    return _payload(encoded, 0, start, end)


def _payload(content: bytes, position: int, start: int, end: int) -> Any:
    if content[position] < 0xC0:
        return content[start:end]
    items = []
    while start < end:
        begin, after = _span(content, start, "item")
        items.append(_payload(content, start, begin, after))
        start = after
    return items


def first_item(encoded_list: bytes) -> bytes:
    """Return the first item of a list, still encoded, such as the header of a block."""
    start, _ = _span(encoded_list, 0, "block")
    _, end = _span(encoded_list, start, "block")
    return encoded_list[start:end]


def items_of_stream(content: bytes, subject: str = "block") -> Iterator[bytes]:
    """
    Split a file of RLP items that stand one after the other, such as chain.rlp.

    Raises
    ------
    DecodeError : the file ends inside an item, or something else stands between items; ``index`` counts items.
    """
    position, index = 0, 0
    while position < len(content):
        if content[position] < 0xC0:
            raise DecodeError(subject, "payload", f"is not a list, at byte {position}", index)
        _, end = _span(content, position, subject, index)
        yield content[position:end]
        position, index = end, index + 1


def _span(content: bytes, position: int, subject: str, index: int | None = None) -> tuple[int, int]:
    """Begin and end of the payload of the item at a position."""
    if position >= len(content):
        raise DecodeError(subject, "payload", "ends too early", index)
    first = content[position]
    if first < 0x80:
        return position, position + 1
    base = 0xC0 if first >= 0xC0 else 0x80
    if first - base <= _SHORT_MAX:
        start, size_bytes = position + 1, first - base
    else:
        size_size = first - base - _SHORT_MAX
        start = position + 1 + size_size
        size_bytes = int.from_bytes(content[position + 1 : start], "big")
    if start + size_bytes > len(content):
        raise DecodeError(subject, "payload", f"ends too early, at byte {len(content)}", index)
    return start, start + size_bytes
