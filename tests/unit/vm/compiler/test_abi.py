"""The contract between compiler and engine stands in three places, which must agree."""

from __future__ import annotations

import re
from pathlib import Path

from metis import engine
from metis.vm.compiler import abi

DOCUMENT = Path(__file__).parents[4] / "docs" / "metisvm-abi.md"


def test_abi__constants__are_the_engine_s() -> None:
    theirs = engine.compiled_code_abi()
    ours = {
        "ABI_VERSION": abi.ABI_VERSION,
        "LEFT": abi.STATUS_LEFT,
        "DEOPTIMISE": abi.STATUS_DEOPTIMISE,
        "JUMP": abi.STATUS_JUMP,
        "CAUSE_OTHER": abi.CAUSE_OTHER,
        "CAUSE_SECTION_GAS": abi.CAUSE_SECTION_GAS,
        "CAUSE_STACK": abi.CAUSE_STACK,
        "CAUSE_GROW": abi.CAUSE_GROW,
        "CAUSE_JUMP": abi.CAUSE_JUMP,
        "CAUSE_DYNAMIC_GAS": abi.CAUSE_DYNAMIC_GAS,
        **{f"offset_{field}": offset for field, offset in abi.CONTEXT.items()},
    }
    assert ours == theirs


def test_abi__offsets_of_the_context__are_the_document_s() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", DOCUMENT.read_text().partition("## Context")[2], re.MULTILINE)
    assert {field: int(offset) for offset, field in rows} == abi.CONTEXT


def test_abi__statuses__are_the_document_s() -> None:
    rows = re.findall(r"^\| (\d) \| `(\w+)` \|", DOCUMENT.read_text().partition("## Context")[0], re.MULTILINE)
    assert {name: int(status) for status, name in rows} == {
        "LEFT": abi.STATUS_LEFT,
        "DEOPTIMISE": abi.STATUS_DEOPTIMISE,
        "JUMP": abi.STATUS_JUMP,
    }
