"""Recursive Length Prefix (Yellow Paper appendix B), both ways, for values that may be wrong on purpose."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Rlp", "decode_rlp", "encode_rlp"]

Rlp = bytes | int | Sequence["Rlp"]


def encode_rlp(item: Rlp) -> bytes:
    """The encoding of an item; integers are big-endian without leading zeros."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else length_prefix(len(item), 0x80) + item
    payload = b"".join(encode_rlp(part) for part in item)
    return length_prefix(len(payload), 0xC0) + payload


def length_prefix(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes([offset + length])
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(digits)]) + digits


def decode_rlp(encoded: bytes) -> list[object]:
    """The list that ``encoded`` is; its items are bytes and lists."""
    item, end = decode_item(encoded, 0)
    assert end == len(encoded)
    assert isinstance(item, list)
    return item


def decode_item(encoded: bytes, start: int) -> tuple[object, int]:
    first = encoded[start]
    if first < 0x80:
        return encoded[start : start + 1], start + 1
    is_list = first >= 0xC0
    size = first - (0xC0 if is_list else 0x80)
    start += 1
    if size > 55:
        digits = size - 55
        size = int.from_bytes(encoded[start : start + digits], "big")
        start += digits
    end = start + size
    if not is_list:
        return encoded[start:end], end
    items = []
    while start < end:
        item, start = decode_item(encoded, start)
        items.append(item)
    return items, end
