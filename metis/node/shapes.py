"""Whether two JSON values have the same form: the same fields, of the same kinds."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["difference_of_shape"]

_HEX = re.compile("0x[0-9a-fA-F]*")
# eth_capabilities: the answer's own objects of the same kind have it or not.
_OPTIONAL = frozenset({"deleteStrategy"})
_MAP_KEY = re.compile("0x[0-9a-fA-F]{40}|[0-9]+")


def difference_of_shape(expected: Any, got: Any, path: str = "result") -> str | None:
    """
    Compare the form of two values.

    Objects need the same fields; objects whose fields are addresses or nonces are maps, of which only
    the values' form counts. Of arrays the first elements are compared.

    Returns
    -------
    What differs, with its path, or None.
    """
    if isinstance(expected, dict) and isinstance(got, dict):
        if _is_map(expected) and _is_map(got):
            pairs = list(zip(expected.values(), got.values(), strict=False))[:1]
            return next((found for a, b in pairs if (found := difference_of_shape(a, b, f"{path}.*"))), None)
        missing, extra = expected.keys() - got.keys() - _OPTIONAL, got.keys() - expected.keys()
        if missing or extra:
            return f"{path}: fields differ: missing {sorted(missing)}, extra {sorted(extra)}"
        members = (difference_of_shape(expected[key], got[key], f"{path}.{key}") for key in expected if key in got)
        return next((problem for problem in members if problem), None)
    if isinstance(expected, list) and isinstance(got, list):
        return difference_of_shape(expected[0], got[0], f"{path}[0]") if expected and got else None
    kinds = _kind(expected), _kind(got)
    return None if kinds[0] == kinds[1] else f"{path}: expected {kinds[0]}, got {kinds[1]}"


def _is_map(value: dict[str, Any]) -> bool:
    return all(_MAP_KEY.fullmatch(key) for key in value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a truth value"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "hexadecimal text" if _HEX.fullmatch(value) else "text"
    return "null" if value is None else type(value).__name__
