"""What commands print: JSON for programs, aligned columns for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["columns", "hex_text", "write_json"]


def write_json(value: Any) -> None:
    """Print one JSON value on one line. Bytes become 0x-hex."""
    import orjson

    sys.stdout.write(orjson.dumps(value, default=_json_default).decode() + "\n")


def hex_text(value: bytes) -> str:
    """0x and lower-case hex digits."""
    return f"0x{value.hex()}"


def columns(headers: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Align cells under their headers: the first ``left`` columns flush left, the rest (numbers) right."""
    table = [list(headers), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def _json_default(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return hex_text(bytes(value))
    raise TypeError(f"{type(value).__name__} has no JSON form")
