"""
Parameters of the control methods, as leniently as anvil and hardhat take them.

Test suites send numbers as JSON numbers, quantities, padded words or decimal text, and code without
its prefix. The public methods stay strict (:mod:`metis.rpc.parameters`).
"""

from __future__ import annotations

import re
from typing import Any

from metis.rpc.parameters import BadValue, Parser, data

__all__ = ["code", "number_of", "optional", "word"]

_DECIMAL = re.compile("[0-9]{1,78}")
_HEXADECIMAL = re.compile("0[xX][0-9a-fA-F]{0,64}")
_BARE_HEXADECIMAL = re.compile("(?:[0-9a-fA-F]{2})+")


def number_of(bits_max: int) -> Parser[int]:
    """Return a parser of numbers below 2**bits_max: 16, 16.0, "0x10", "0x0010" or "16"."""

    def parse(value: Any) -> int:
        number = _number(value)
        if number < 0:
            raise BadValue("number is negative")
        if number >> bits_max:
            raise BadValue(f"number has more than {bits_max} bits")
        return number

    return parse


def _number(value: Any) -> int:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is str:
        if _HEXADECIMAL.fullmatch(value):
            return int(value[2:] or "0", 16)
        if _DECIMAL.fullmatch(value):
            return int(value)
    raise BadValue("expected a number, as JSON number, decimal text or hexadecimal text")


word = number_of(256)
"""A number of 256 bits: wei, a slot, or a storage value."""


def code(value: Any) -> bytes:
    """Read bytes, with or without their prefix."""
    if type(value) is str and _BARE_HEXADECIMAL.fullmatch(value):
        return bytes.fromhex(value)
    return data(value)


def optional(parse: Parser[Any]) -> Parser[Any]:
    """Return a parser that takes null for None."""

    def parse_or_none(value: Any) -> Any:
        return None if value is None else parse(value)

    return parse_or_none
