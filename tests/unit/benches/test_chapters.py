"""``make bench``: rows as tables, and chapters in their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from benches.__main__ import CHAPTERS
from benches.chapter import DOCUMENT, Measured, NotMeasured, write
from benches.tables import as_table, shown, spread

MARKS = "before\n<!-- x: written by make bench -->\nold\n<!-- end of x -->\nafter\n"


def test_document__every_chapter__has_a_place_that_is_filled() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in CHAPTERS:
        between = text.split(f"<!-- {name}: written by make bench -->\n")[1].split(f"<!-- end of {name} -->\n")[0]
        assert between.strip(), name


def test_write__marks__replaces_what_is_between_them_and_no_more(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(MARKS)

    write("x", Measured("new\n", []), "a machine; commit abc.", document)

    text = document.read_text()
    assert text.startswith("before\n<!-- x: written by make bench -->\n\nnew\n\n")
    assert text.endswith("<!-- end of x -->\nafter\n")
    assert "old" not in text
    assert "a machine; commit abc.\n" in text


@pytest.mark.parametrize("text", ["nothing\n", "<!-- x: written by make bench -->\n", "<!-- end of x -->\n"])
def test_write__no_marks__refuses(tmp_path: Path, text: str) -> None:
    document = tmp_path / "document.md"
    document.write_text(text)

    with pytest.raises(NotMeasured):
        write("x", Measured("new\n", []), "", document)

    assert document.read_text() == text


def test_as_table__figures_by_contestant__have_columns_behind_name_and_unit() -> None:
    rows = [
        {"metis": 1234.5, "name": "a", "unit": "ms", "ratio": {"2": 1.25}, "rounds": {"metis": [1.0, 2.0, 3.0]}},
        {"name": "b", "metis": 7, "unit": "ms", "other": None, "hidden": 1, "list": [1]},
    ]

    table = as_table(rows, frozenset({"hidden"}))

    assert [line.split() for line in table.splitlines()] == [
        ["name", "unit", "metis", "ratio", "2", "other", "spread"],
        ["a", "ms", "1,234", "1.25", "-", "100", "%"],
        ["b", "ms", "7", "-", "-", "-"],
    ]


def test_shown__figures__keep_four_digits_that_count() -> None:
    figures = [None, 0.123456, 12.3456, 123456.7, 1234567, "words"]

    assert [shown(figure) for figure in figures] == ["-", "0.1235", "12.35", "123,457", "1,234,567", "words"]


def test_spread__no_rounds__is_not_told() -> None:
    assert spread({}) == "-"
    assert spread({"a": [2.0, 2.0], "b": [1.0, 2.0]}) == "67 %"
