"""docs/rpc.md says what the code does: its tables are compared, its example is run."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest

from metis.rpc import RpcLimits
from metis.rpc.errors import CODE_OF_SLUG, MEANING_OF_CODE, ErrorCode


@pytest.fixture(scope="module")
def text(checkout: Path) -> str:
    return (checkout / "docs" / "rpc.md").read_text(encoding="utf-8")


def tables(text: str, heading: str) -> list[list[list[str]]]:
    """The cells of every table under a heading, without head lines and code marks."""
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [
        [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in block.splitlines()[2:]]
        for block in blocks
    ]


def test_document__table_of_codes__equals_the_code(text: str) -> None:
    rows = tables(text, "Error codes")[0]
    meanings = {code: meaning.replace("`", "") for code, meaning in MEANING_OF_CODE.items()}
    assert [(int(code), name, meaning) for code, name, meaning in rows] == [
        (int(code), code.name, meanings[code]) for code in sorted(ErrorCode, reverse=True)
    ]


def test_document__table_of_slugs__equals_the_code(text: str) -> None:
    rows = tables(text, "Error codes")[1]
    assert {slug: int(code) for slug, code in rows} == {slug: int(code) for slug, code in CODE_OF_SLUG.items()}


def test_document__table_of_limits__equals_the_defaults(text: str) -> None:
    (rows,) = tables(text, "Limits")
    written = {name: default.replace(",", "") for name, default, _ in rows}
    defaults = {field.name: str(field.default) for field in dataclasses.fields(RpcLimits)}
    assert written.pop("pool_thread_count") == "number of processors at least 2"
    assert int(defaults.pop("pool_thread_count")) == max(2, os.cpu_count() or 1)
    assert written == defaults


def test_document__example__runs(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    exec(compile(example, "docs/rpc.md", "exec"), {"__name__": "example"})  # noqa: S102 - our own document
    assert re.search(r"listening on \('127\.0\.0\.1', \d+\)", capsys.readouterr().out)
