"""docs/ai-graph.md against the code: its tables, its limits, its example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from metis.ai.graph import (
    CHUNK_BYTES,
    GRAPH_FORMAT_VERSION,
    GRAPH_MAGIC,
    OPERATORS,
    Attribute,
    AttributeKind,
    DType,
    GraphBuilder,
    Model,
    encode_graph,
    limits,
)
from metis.ai.reference import ReferenceEvaluator


@pytest.fixture(scope="module")
def document(checkout: Path) -> str:
    return (checkout / "docs" / "ai-graph.md").read_text(encoding="utf-8")


def rows_after(document: str, head: str) -> list[list[str]]:
    """The cells of the table with a head line."""
    lines = document.split(f"{head}\n", 1)[1].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[: lines.index("")]]


def number(value: int) -> str:
    """A value as the document writes it."""
    sign, size = ("-", -value) if value < 0 else ("", value)
    if size >= 1 << 7 and size & (size - 1) == 0 and (sign or size >= 1 << 14):
        return f"{sign}2^{size.bit_length() - 1}"
    if size >= 127 and (size + 1) & size == 0:
        return f"2^{size.bit_length()} - 1"
    return str(value)


def described(attribute: Attribute) -> str:
    """An attribute as the document writes it."""
    if attribute.kind is AttributeKind.FLAG:
        return f"`{attribute.name}` flag"
    if attribute.kind is AttributeKind.DTYPE:
        return f"`{attribute.name}` type {DType(attribute.lo).name.lower()} to {DType(attribute.hi).name.lower()}"
    text = f"`{attribute.name}` {attribute.kind.value} [{number(attribute.lo)}, {number(attribute.hi)}]"
    if attribute.kind is AttributeKind.INTEGER:
        return text
    lo, hi = attribute.count_lo, attribute.count_hi
    return f"{text} ×{lo}" if lo == hi else f"{text} ×{lo} to {hi}"


def test_document__table_of_operators__is_the_schema(document: str) -> None:
    expected = []
    for operator in OPERATORS.values():
        lo, hi = operator.inputs_lo, operator.inputs_hi
        inputs = str(lo) if lo == hi else f"{lo} to {hi}"
        attributes = "; ".join(map(described, operator.attributes)) or "–"
        expected.append([str(operator.code), f"`{operator.name}`", inputs, str(operator.output_count), attributes])
    assert rows_after(document, "| code | operator | inputs | results | attributes |") == expected


def test_document__operators__are_each_described(document: str) -> None:
    text = document.split("## Operators", 1)[1]
    assert not [name for name in OPERATORS if f"**{name}**" not in text]


def test_document__table_of_types__is_the_enumeration(document: str) -> None:
    expected = [
        [str(int(dtype)), dtype.name.lower(), str(dtype.size_bytes), number(dtype.lo), number(dtype.hi)]
        for dtype in DType
    ]
    assert rows_after(document, "| code | type | bytes | least | greatest |") == expected


def test_document__table_of_limits__is_the_codes(document: str) -> None:
    assert [int(row[1]) for row in rows_after(document, "| limit | greatest |")] == [
        limits.GRAPH_BYTES_MAX,
        limits.INPUTS_MAX,
        limits.STATES_MAX,
        limits.CONSTANTS_MAX,
        limits.NODES_MAX,
        limits.OUTPUTS_MAX,
        limits.RANK_MAX,
        limits.DIMENSION_MAX,
        limits.ELEMENTS_MAX,
        limits.ATTRIBUTE_VALUES_MAX,
        limits.NODE_INPUTS_MAX,
    ]
    assert f"chunks of {CHUNK_BYTES} bytes" in document
    assert f"magic `{GRAPH_MAGIC.decode()}`, u16 version = {GRAPH_FORMAT_VERSION}" in document


def test_document__coefficients_of_softmax__are_a_power_of_two_and_proven(document: str) -> None:
    found = re.search(r"coefficients \((\d+), (-?\d+), (-?\d+), (-?\d+)\)", document)
    assert found
    c0, c1, c2, c3 = map(int, found.groups())
    builder = GraphBuilder()
    x = builder.input("x", DType.INT16, (8,))
    builder.node("softmax", x, multiplier=1, shift=0, exp2=(c0, c1, c2, c3), dtype=DType.INT16)

    for fraction in range(0, 1 << 16, 97):
        power = c0 + ((c1 + ((c2 + (c3 * fraction >> 16)) * fraction >> 16)) * fraction >> 16)
        assert abs(power / 2 ** (24 - fraction / 65_536) - 1) < 2e-4


def example() -> Model:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (1, 2), -100, 100)
    constant = builder.constant(DType.INT8, [[3, -4]])
    builder.output("y", builder.node("matmul", x, constant, transpose_b=1, accumulator=DType.INT32))
    return builder.model()


def test_document__example__is_what_the_code_gives(document: str) -> None:
    text = document.split("## Example", 1)[1]
    hexadecimal = "".join(re.findall(r"^[0-9a-f]{2}: (.*)$", text, re.MULTILINE))
    evaluator = ReferenceEvaluator(example())
    cost = evaluator.proven.cost

    assert bytes.fromhex(hexadecimal) == encode_graph(example().graph)
    assert re.findall(r"0x([0-9a-f]{64})", text) == [example().weights.root.hex(), example().id.hex()]
    assert evaluator.run({"x": [[5, 6]]}).outputs["y"].tolist() == [[-9]]
    assert f"{cost.macs} MACs, moves {cost.moved_bytes} bytes and needs {cost.memory_bytes} bytes of memory" in text
