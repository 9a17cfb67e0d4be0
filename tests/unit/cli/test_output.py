"""Columns and JSON."""

from __future__ import annotations

import orjson
import pytest

from metis.cli.output import columns, hex_text, write_json


def test_columns__text_and_numbers__aligned_left_and_right() -> None:
    assert columns(("fork", "cases"), [("Cancun", "20,969"), ("Paris", "62")]).splitlines() == [
        "fork     cases",
        "Cancun  20,969",
        "Paris       62",
    ]


def test_write_json__bytes_inside__as_hex_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({"a": b"\x01\xff", "b": [1]})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert orjson.loads(printed) == {"a": "0x01ff", "b": [1]}


def test_write_json__value_without_json_form__refused() -> None:
    with pytest.raises(TypeError):
        write_json({"a": object()})


def test_hex_text__bytes__prefixed() -> None:
    assert hex_text(b"\x00") == "0x00"
