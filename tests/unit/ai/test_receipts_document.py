"""docs/receipts.md says what the code does: layout, types, numbers."""

from __future__ import annotations

import re
from pathlib import Path

from metis.ai.receipt.encoding import LAYOUT, RECEIPT_BYTES, RECEIPT_MAGIC
from metis.ai.receipt.fields import Unproven
from metis.ai.receipt.metering import BASE_UNITS, MACS_PER_UNIT, MOVED_BYTES_PER_UNIT
from metis.ai.receipt.signing import RECEIPT_TYPE, REQUEST_TYPE
from metis.ai.trace.points import STEP_NODES_MAX, STEP_WEIGHT_MAX

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "receipts.md").read_text(encoding="utf-8")


def test_document__table_of_bytes__is_the_layout() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\w+) \|", TEXT, re.MULTILINE)
    offset, expected = 0, []
    for name, length in LAYOUT:
        expected.append((str(offset), str(length), name))
        offset += length
    assert rows == expected
    assert TEXT.count(f"{RECEIPT_BYTES} bytes") == 2
    assert f"`{RECEIPT_MAGIC.decode()}`" in TEXT


def test_document__signed_types__are_those_of_the_code() -> None:
    joined = re.sub(r",\n\s+", ",", TEXT)
    assert REQUEST_TYPE in joined
    assert RECEIPT_TYPE in joined


def test_document__numbers_and_words__are_those_of_the_code() -> None:
    assert f"({BASE_UNITS} + ⌈macs / {MACS_PER_UNIT}⌉ + ⌈moved_bytes / {MOVED_BYTES_PER_UNIT}⌉)" in TEXT
    assert f"weigh more than {STEP_WEIGHT_MAX}" in TEXT
    assert f"more than {STEP_NODES_MAX} nodes" in TEXT
    for bit in Unproven:
        assert f"| {bit.value} | {str(bit.name).lower()} |" in TEXT
