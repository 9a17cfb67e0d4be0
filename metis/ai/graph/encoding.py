"""A graph's bytes: one encoding for each graph, and nothing else decodes. docs/ai-graph.md gives the layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from metis.ai.graph import limits
from metis.ai.graph.schema import OPERATOR_OF_CODE, OPERATORS, Attribute, AttributeKind
from metis.ai.graph.structure import (
    check_count,
    check_declaration,
    check_name,
    check_node,
    check_structure,
    check_tensor,
)
from metis.ai.graph.types import AttributeValue, Declaration, DType, Graph, Node, Output
from metis.types import GraphDecodeError, InvalidGraph

__all__ = ["GRAPH_FORMAT_VERSION", "GRAPH_MAGIC", "decode_graph", "encode_graph"]

GRAPH_MAGIC: Final = b"METISAIG"
GRAPH_FORMAT_VERSION: Final = 1


def encode_graph(graph: Graph) -> bytes:
    """
    The bytes of a graph.

    Raises
    ------
    InvalidGraph : the graph breaks a rule that decoding checks too, or its bytes would pass the limit.
    """
    check_structure(graph)
    out = bytearray(GRAPH_MAGIC)
    _put(out, GRAPH_FORMAT_VERSION, 2)
    for count in (graph.inputs, graph.states, graph.constants, graph.nodes, graph.outputs):
        _put(out, len(count), 4)
    for tensor in graph.declarations:
        if tensor.name:
            _put_name(out, tensor.name)
        _put(out, tensor.dtype, 1)
        _put(out, len(tensor.shape), 1)
        for dimension in tensor.shape:
            _put(out, dimension, 4)
        _put_signed(out, tensor.lo)
        _put_signed(out, tensor.hi)
    for node in graph.nodes:
        _put_node(out, node)
    for number in graph.updates:
        _put(out, number, 4)
    for output in graph.outputs:
        _put_name(out, output.name)
        _put(out, output.tensor, 4)
    if len(out) > limits.GRAPH_BYTES_MAX:
        raise InvalidGraph("graph", f"{len(out)} bytes are more than {limits.GRAPH_BYTES_MAX}")
    return bytes(out)


def _put(out: bytearray, value: int, size_bytes: int) -> None:
    out += value.to_bytes(size_bytes, "little")


def _put_signed(out: bytearray, value: int) -> None:
    out += value.to_bytes(8, "little", signed=True)


def _put_name(out: bytearray, name: str) -> None:
    _put(out, len(name), 1)
    out += name.encode("ascii")


def _put_node(out: bytearray, node: Node) -> None:
    operator = OPERATORS[node.operator]
    _put(out, operator.code, 1)
    _put(out, len(node.inputs), 1)
    for tensor in node.inputs:
        _put(out, tensor, 4)
    for attribute, value in zip(operator.attributes, node.attributes, strict=True):
        if isinstance(value, tuple):
            _put(out, len(value), 1)
            for each in value:
                _put_signed(out, each)
        elif attribute.kind is AttributeKind.INTEGER:
            _put_signed(out, value)
        else:
            _put(out, value, 1)


class _Reader:
    """Reads fields in order and remembers where each of the current item began, for errors."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.position = 0
        self.offsets: dict[str, int] = {}

    def take(self, field: str, size_bytes: int) -> bytes:
        self.offsets[field] = self.position
        end = self.position + size_bytes
        if end > len(self.raw):
            raise InvalidGraph(field, f"{size_bytes} bytes are wanted, {len(self.raw) - self.position} are left")
        taken = self.raw[self.position : end]
        self.position = end
        return taken

    def integer(self, field: str, size_bytes: int) -> int:
        return int.from_bytes(self.take(field, size_bytes), "little")

    def signed(self, field: str) -> int:
        return int.from_bytes(self.take(field, 8), "little", signed=True)

    def name(self, field: str) -> str:
        begin = self.position
        length = self.integer(field, 1)
        check_count(field, length, 1, limits.NAME_BYTES_MAX)
        name = self.take(field, length)
        self.offsets[field] = begin
        # Any byte is a Latin-1 letter; the check of names leaves only ASCII ones.
        return name.decode("latin-1")

    def dtype(self, field: str) -> DType:
        code = self.integer(field, 1)
        if not DType.INT8 <= code <= DType.INT64:
            raise InvalidGraph(field, f"{code} is no element type")
        return DType(code)

    @contextmanager
    def item(self, field: str) -> Iterator[None]:
        """Errors inside are given the offset of their field, or of the item where the field has none."""
        begin = self.position
        self.offsets = {field: begin}
        try:
            yield
        except InvalidGraph as error:
            # A rule about a whole list names an element that has no bytes of its own name.
            offset = self.offsets.get(error.field, begin)
            raise GraphDecodeError(error.field, error.problem, offset) from None


def decode_graph(raw: bytes) -> Graph:
    """
    The graph that bytes encode.

    Memory and time are bounded by the length of ``raw``: every count is checked against its limit, and nothing is made
    for an item before its bytes are there.

    Raises
    ------
    GraphDecodeError : the bytes are not the encoding of a graph; names the field and its offset.
    """
    if len(raw) > limits.GRAPH_BYTES_MAX:
        raise GraphDecodeError("graph", f"{len(raw)} bytes are more than {limits.GRAPH_BYTES_MAX}", 0)
    reader = _Reader(raw)
    with reader.item("header"):
        if reader.take("magic", len(GRAPH_MAGIC)) != GRAPH_MAGIC:
            raise InvalidGraph("magic", f"it is not {GRAPH_MAGIC!r}")
        version = reader.integer("version", 2)
        if version != GRAPH_FORMAT_VERSION:
            raise InvalidGraph("version", f"{version} is not known; {GRAPH_FORMAT_VERSION} is")
        counts = []
        for field, lo, hi in (
            ("inputs", 0, limits.INPUTS_MAX),
            ("states", 0, limits.STATES_MAX),
            ("constants", 0, limits.CONSTANTS_MAX),
            ("nodes", 0, limits.NODES_MAX),
            ("outputs", 1, limits.OUTPUTS_MAX),
        ):
            counts.append(reader.integer(field, 4))
            check_count(field, counts[-1], lo, hi)
    taken: set[str] = set()
    inputs = tuple(_read_declaration(reader, f"inputs[{index}]", taken) for index in range(counts[0]))
    states = tuple(_read_declaration(reader, f"states[{index}]", taken) for index in range(counts[1]))
    constants = tuple(_read_declaration(reader, f"constants[{index}]", None) for index in range(counts[2]))
    tensor_count = len(inputs) + len(states) + len(constants)
    nodes = []
    for index in range(counts[3]):
        nodes.append(_read_node(reader, f"nodes[{index}]", tensor_count))
        tensor_count += OPERATORS[nodes[-1].operator].output_count
    updates = tuple(_read_tensor(reader, f"updates[{index}]", tensor_count) for index in range(counts[1]))
    taken.clear()
    outputs = tuple(_read_output(reader, f"outputs[{index}]", tensor_count, taken) for index in range(counts[4]))
    if reader.position != len(raw):
        raise GraphDecodeError("graph", f"{len(raw) - reader.position} bytes after its end", reader.position)
    return Graph(inputs, constants, tuple(nodes), outputs, states, updates)


def _read_declaration(reader: _Reader, field: str, taken: set[str] | None) -> Declaration:
    """One declared tensor; ``taken`` is None for a constant, which has no name."""
    with reader.item(field):
        name = ""
        if taken is not None:
            name = reader.name(f"{field}.name")
            check_name(f"{field}.name", name, taken)
        dtype = reader.dtype(f"{field}.dtype")
        rank = reader.integer(f"{field}.shape", 1)
        check_count(f"{field}.shape", rank, 1, limits.RANK_MAX)
        shape = tuple(reader.integer(f"{field}.shape[{axis}]", 4) for axis in range(rank))
        tensor = Declaration(name, dtype, shape, reader.signed(f"{field}.lo"), reader.signed(f"{field}.hi"))
        check_declaration(field, tensor)
        return tensor


def _read_node(reader: _Reader, field: str, tensor_count: int) -> Node:
    with reader.item(field):
        code = reader.integer(f"{field}.operator", 1)
        operator = OPERATOR_OF_CODE.get(code)
        if operator is None:
            raise InvalidGraph(f"{field}.operator", f"{code} is no operator")
        count = reader.integer(f"{field}.inputs", 1)
        check_count(f"{field}.inputs", count, operator.inputs_lo, operator.inputs_hi)
        inputs = tuple(reader.integer(f"{field}.inputs[{index}]", 4) for index in range(count))
        attributes = tuple(_read_attribute(reader, field, attribute) for attribute in operator.attributes)
        node = Node(operator.name, inputs, attributes)
        check_node(field, node, tensor_count)
        return node


def _read_attribute(reader: _Reader, field: str, attribute: Attribute) -> AttributeValue:
    path = f"{field}.{attribute.name}"
    if attribute.kind is AttributeKind.LIST:
        count = reader.integer(path, 1)
        check_count(path, count, attribute.count_lo, attribute.count_hi)
        return tuple(reader.signed(f"{path}[{index}]") for index in range(count))
    if attribute.kind is AttributeKind.INTEGER:
        return reader.signed(path)
    if attribute.kind is AttributeKind.DTYPE:
        return reader.dtype(path)
    return reader.integer(path, 1)


def _read_tensor(reader: _Reader, field: str, tensor_count: int) -> int:
    with reader.item(field):
        tensor = reader.integer(field, 4)
        check_tensor(field, tensor, tensor_count)
        return tensor


def _read_output(reader: _Reader, field: str, tensor_count: int, taken: set[str]) -> Output:
    with reader.item(field):
        name = reader.name(f"{field}.name")
        check_name(f"{field}.name", name, taken)
        tensor = reader.integer(f"{field}.tensor", 4)
        check_tensor(f"{field}.tensor", tensor, tensor_count)
        return Output(name, tensor)
