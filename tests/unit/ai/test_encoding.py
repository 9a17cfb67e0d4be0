"""A graph's bytes: the documented layout, and every way to break it, refused by field and offset."""

from __future__ import annotations

import dataclasses

import pytest

from metis.ai.graph import DType, Graph, decode_graph, encode_graph
from metis.ai.graph import limits as format_limits
from metis.types import DecodeError, GraphDecodeError, InvalidGraph
from tests.unit.ai.small_models import counter


def laid_out() -> list[tuple[str, bytes]]:
    """The counter's graph, field by field, as docs/ai-graph.md lays it out."""

    def i64(value: int) -> bytes:
        return value.to_bytes(8, "little", signed=True)

    def u32(value: int) -> bytes:
        return value.to_bytes(4, "little")

    return [
        ("magic", b"METISAIG"),
        ("version", b"\x01\x00"),
        ("inputs", u32(1)),
        ("states", u32(1)),
        ("constants", u32(1)),
        ("nodes", u32(3)),
        ("outputs", u32(2)),
        ("inputs[0].name", b"\x01x"),
        ("inputs[0].dtype", b"\x01"),
        ("inputs[0].shape", b"\x02"),
        ("inputs[0].shape[0]", u32(1)),
        ("inputs[0].shape[1]", u32(2)),
        ("inputs[0].lo", i64(-100)),
        ("inputs[0].hi", i64(100)),
        ("states[0].name", b"\x05total"),
        ("states[0].dtype", b"\x03"),
        ("states[0].shape", b"\x02"),
        ("states[0].shape[0]", u32(1)),
        ("states[0].shape[1]", u32(2)),
        ("states[0].lo", i64(-1000)),
        ("states[0].hi", i64(1000)),
        ("constants[0].dtype", b"\x01"),
        ("constants[0].shape", b"\x02"),
        ("constants[0].shape[0]", u32(2)),
        ("constants[0].shape[1]", u32(2)),
        ("constants[0].lo", i64(-4)),
        ("constants[0].hi", i64(6)),
        ("nodes[0].operator", b"\x01"),
        ("nodes[0].inputs", b"\x02"),
        ("nodes[0].inputs[0]", u32(0)),
        ("nodes[0].inputs[1]", u32(2)),
        ("nodes[0].transpose_b", b"\x01"),
        ("nodes[0].accumulator", b"\x03"),
        ("nodes[1].operator", b"\x06"),
        ("nodes[1].inputs", b"\x02"),
        ("nodes[1].inputs[0]", u32(1)),
        ("nodes[1].inputs[1]", u32(3)),
        ("nodes[1].dtype", b"\x03"),
        ("nodes[2].operator", b"\x0f"),
        ("nodes[2].inputs", b"\x01"),
        ("nodes[2].inputs[0]", u32(4)),
        ("nodes[2].lo", i64(-1000)),
        ("nodes[2].hi", i64(1000)),
        ("nodes[2].dtype", b"\x03"),
        ("updates[0]", u32(5)),
        ("outputs[0].name", b"\x01y"),
        ("outputs[0].tensor", u32(3)),
        ("outputs[1].name", b"\x05total"),
        ("outputs[1].tensor", u32(5)),
    ]


def broken(field: str, replacement: bytes) -> GraphDecodeError:
    """What decoding says of the counter's bytes with one field replaced; checks that it names its place."""
    raw, offset = b"", -1
    for name, value in laid_out():
        if name == field:
            offset = len(raw)
        raw += replacement if name == field else value
    assert offset >= 0, field
    with pytest.raises(GraphDecodeError) as caught:
        decode_graph(raw)
    assert (caught.value.field, caught.value.offset) == (field, offset)
    return caught.value


def test_graph__laid_out_by_hand__is_its_encoding() -> None:
    assert encode_graph(counter().graph) == b"".join(value for _, value in laid_out())


@pytest.mark.parametrize(
    ("field", "replacement"),
    [
        ("magic", b"METISAIH"),
        ("version", b"\x02\x00"),
        ("inputs", b"\xff\xff\xff\xff"),
        ("states", b"\x01\x02\x00\x00"),
        ("constants", b"\x01\x40\x00\x00"),
        ("nodes", b"\x01\x40\x00\x00"),
        ("outputs", bytes(4)),
        ("inputs[0].name", b"\x00x"),
        ("inputs[0].name", b"\x01X"),
        ("inputs[0].name", b"\x01\xff"),
        ("inputs[0].name", b"\xffx"),
        ("inputs[0].dtype", b"\x00"),
        ("inputs[0].dtype", b"\x05"),
        ("inputs[0].shape", b"\x00"),
        ("inputs[0].shape", b"\x07"),
        ("inputs[0].lo", (-129).to_bytes(8, "little", signed=True)),
        ("inputs[0].hi", (128).to_bytes(8, "little", signed=True)),
        ("inputs[0].hi", (-101).to_bytes(8, "little", signed=True)),
        ("states[0].name", b"\x01x"),
        ("constants[0].dtype", b"\xff"),
        ("nodes[0].operator", b"\x00"),
        ("nodes[0].operator", b"\x20"),
        ("nodes[0].inputs", b"\x01"),
        ("nodes[0].inputs[1]", b"\x03\x00\x00\x00"),
        ("nodes[0].transpose_b", b"\x02"),
        ("nodes[0].accumulator", b"\x01"),
        ("nodes[0].accumulator", b"\x00"),
        ("nodes[2].inputs[0]", b"\x05\x00\x00\x00"),
        ("updates[0]", b"\x06\x00\x00\x00"),
        ("outputs[1].name", b"\x01y"),
        ("outputs[1].tensor", b"\x06\x00\x00\x00"),
    ],
)
def test_graph_bytes__one_field_wrong__are_refused_by_field_and_offset(field: str, replacement: bytes) -> None:
    assert broken(field, replacement).problem


@pytest.mark.parametrize("dimension", [0, (1 << 24) + 1, (1 << 32) - 1])
def test_graph_bytes__dimension_out_of_range__are_refused(dimension: int) -> None:
    raw = b"".join(
        dimension.to_bytes(4, "little") if name == "inputs[0].shape[1]" else value for name, value in laid_out()
    )
    with pytest.raises(GraphDecodeError, match=f"dimension {dimension}") as caught:
        decode_graph(raw)
    assert caught.value.field == "inputs[0].shape"


def test_graph_bytes__one_more__are_refused_at_the_end() -> None:
    raw = encode_graph(counter().graph)
    with pytest.raises(GraphDecodeError, match="1 bytes after its end") as caught:
        decode_graph(raw + b"\x00")
    assert caught.value.offset == len(raw)


def test_graph_bytes__larger_than_the_limit__are_refused_unread() -> None:
    with pytest.raises(GraphDecodeError, match="more than"):
        decode_graph(bytes(format_limits.GRAPH_BYTES_MAX + 1))


def test_graph_bytes__refused__are_a_decode_error_of_a_graph() -> None:
    with pytest.raises(DecodeError) as caught:
        decode_graph(b"")
    assert (caught.value.subject, caught.value.field) == ("graph", "magic")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"outputs": ()}, "outputs"),
        ({"updates": ()}, "updates"),
        ({"updates": (6,)}, "updates[0]"),
        ({"inputs": (dataclasses.replace(counter().graph.inputs[0], name=""),)}, "inputs[0].name"),
        ({"inputs": (dataclasses.replace(counter().graph.inputs[0], shape=()),)}, "inputs[0].shape"),
        ({"inputs": (dataclasses.replace(counter().graph.inputs[0], shape=(1 << 15,) * 2),)}, "inputs[0].shape"),
        ({"constants": (dataclasses.replace(counter().graph.constants[0], name="w"),)}, "constants[0].name"),
        ({"nodes": (dataclasses.replace(counter().graph.nodes[0], operator="sine"),)}, "nodes[0].operator"),
        ({"nodes": (dataclasses.replace(counter().graph.nodes[0], attributes=(1,)),)}, "nodes[0].attributes"),
        ({"nodes": (dataclasses.replace(counter().graph.nodes[0], attributes=((1,), 3)),)}, "nodes[0].transpose_b"),
    ],
)
def test_graph__malformed_object__is_not_encoded(change: dict[str, object], field: str) -> None:
    graph: Graph = dataclasses.replace(counter().graph, **change)  # type: ignore[arg-type]
    with pytest.raises(InvalidGraph) as caught:
        encode_graph(graph)
    assert caught.value.field == field


def test_element_types__sizes_and_ranges__are_twos_complement() -> None:
    assert [dtype.size_bytes for dtype in DType] == [1, 2, 4, 8]
    assert [(dtype.lo, dtype.hi) for dtype in DType] == [(-(2**n), 2**n - 1) for n in (7, 15, 31, 63)]
