"""Parameters of the control methods."""

from __future__ import annotations

from typing import Any

import pytest

from metis.rpc.namespaces.lenient import code, number_of, word
from metis.rpc.parameters import BadValue


@pytest.mark.parametrize("value", [16, 16.0, "0x10", "0x0010", "16", "0X10"])
def test_number__in_any_form__is_read(value: Any) -> None:
    assert word(value) == 16


def test_number__without_digits__is_zero() -> None:
    assert word("0x") == 0


@pytest.mark.parametrize("value", [-1, 1.5, "", "sixteen", "0xg", True, None, [16], "-1", 1 << 256, "0x" + "f" * 65])
def test_number__that_is_none__is_refused(value: Any) -> None:
    with pytest.raises(BadValue):
        word(value)


def test_number__of_too_many_bits__is_refused() -> None:
    assert number_of(64)(2**64 - 1) == 2**64 - 1
    with pytest.raises(BadValue, match="64 bits"):
        number_of(64)(2**64)


@pytest.mark.parametrize("value", ["0x6001", "6001"])
def test_code__with_or_without_prefix__is_read(value: str) -> None:
    assert code(value) == b"\x60\x01"


@pytest.mark.parametrize("value", ["600", "0x600", "zz", 6001])
def test_code__that_is_none__is_refused(value: Any) -> None:
    with pytest.raises(BadValue):
        code(value)
