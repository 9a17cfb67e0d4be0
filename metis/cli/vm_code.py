"""Bytecode from the command line: as hex, or in a .hex file."""

from __future__ import annotations

from pathlib import Path

__all__ = ["HEX_FILE_SIZE_BYTES_MAX", "from_hex", "read_code"]

HEX_FILE_SIZE_BYTES_MAX = 16 * 1024 * 1024


def read_code(target: str) -> bytes:
    """
    Return the bytes that an argument means.

    Raises
    ------
    DecodeError : it is not hex, or the file cannot be read.
    """
    from metis.types import DecodeError

    if not target.endswith(".hex"):
        return from_hex("target", target)
    try:
        with Path(target).open(encoding="ascii") as file:
            text = file.read(HEX_FILE_SIZE_BYTES_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise DecodeError("hex", "target", f"cannot be read: {error}") from error
    if len(text) > HEX_FILE_SIZE_BYTES_MAX:
        raise DecodeError("hex", "target", f"file is larger than {HEX_FILE_SIZE_BYTES_MAX:,} bytes")
    return from_hex("target", "".join(text.split()))


def from_hex(field: str, text: str) -> bytes:
    """
    Return the bytes of hex digits, with or without 0x.

    Raises
    ------
    DecodeError : there is something else in it; ``field`` says whose.
    """
    from metis.types import DecodeError

    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        hint = "; files end in .hex or .json" if field == "target" else ""
        raise DecodeError("hex", field, f"{text[:80]!r} is not hex{hint}") from error
