"""What holds of every graph before its shapes are looked at: counts, names, ranges, and who may use which tensor."""

from __future__ import annotations

import re
from typing import Final

from metis.ai.graph import limits
from metis.ai.graph.schema import OPERATORS, Attribute, AttributeKind
from metis.ai.graph.types import AttributeValue, Declaration, Graph, Node
from metis.types import InvalidGraph

__all__ = ["check_count", "check_declaration", "check_name", "check_node", "check_structure", "check_tensor"]

_NAME: Final = re.compile(rf"[a-z0-9_]{{1,{limits.NAME_BYTES_MAX}}}")


def check_count(field: str, count: int, lo: int, hi: int) -> None:
    """Raise :class:`metis.types.InvalidGraph` unless ``count`` is from ``lo`` to ``hi``."""
    if not lo <= count <= hi:
        raise InvalidGraph(field, f"{count} of them; there may be {lo} to {hi}")


def check_name(field: str, name: str, taken: set[str]) -> None:
    """Check a name and add it to those that are taken; raises :class:`metis.types.InvalidGraph`."""
    if not _NAME.fullmatch(name):
        raise InvalidGraph(field, f"{name[:80]!r} is not 1 to {limits.NAME_BYTES_MAX} of a-z, 0-9 and _")
    if name in taken:
        raise InvalidGraph(field, f"{name!r} is there twice")
    taken.add(name)


def check_declaration(field: str, tensor: Declaration) -> None:
    """Check shape and range of a declared tensor; raises :class:`metis.types.InvalidGraph`."""
    check_shape(f"{field}.shape", tensor.shape)
    if not tensor.dtype.lo <= tensor.lo <= tensor.dtype.hi:
        raise InvalidGraph(f"{field}.lo", f"{tensor.lo} is no {tensor.dtype.name.lower()}")
    if not tensor.lo <= tensor.hi <= tensor.dtype.hi:
        raise InvalidGraph(f"{field}.hi", f"{tensor.hi} is not from {tensor.lo} to {tensor.dtype.hi}")


def check_shape(field: str, shape: tuple[int, ...]) -> None:
    """Check rank, dimensions and number of elements; raises :class:`metis.types.InvalidGraph`."""
    check_count(field, len(shape), 1, limits.RANK_MAX)
    elements = 1
    for dimension in shape:
        if not 1 <= dimension <= limits.DIMENSION_MAX:
            raise InvalidGraph(field, f"dimension {dimension} is not from 1 to {limits.DIMENSION_MAX}")
        elements *= dimension
    if elements > limits.ELEMENTS_MAX:
        raise InvalidGraph(field, f"{elements} elements are more than {limits.ELEMENTS_MAX}")


def check_tensor(field: str, tensor: int, tensor_count: int) -> None:
    """Check that a tensor's number is of one that is there; raises :class:`metis.types.InvalidGraph`."""
    if not 0 <= tensor < tensor_count:
        raise InvalidGraph(field, f"tensor {tensor} is not there yet: there are {tensor_count}")


def check_node(field: str, node: Node, tensor_count: int) -> None:
    """Check operator, inputs and attributes of a node; raises :class:`metis.types.InvalidGraph`."""
    operator = OPERATORS.get(node.operator)
    if operator is None:
        raise InvalidGraph(f"{field}.operator", f"{node.operator[:80]!r} is no operator")
    check_count(f"{field}.inputs", len(node.inputs), operator.inputs_lo, operator.inputs_hi)
    for index, tensor in enumerate(node.inputs):
        check_tensor(f"{field}.inputs[{index}]", tensor, tensor_count)
    count = len(operator.attributes)
    check_count(f"{field}.attributes", len(node.attributes), count, count)
    for attribute, value in zip(operator.attributes, node.attributes, strict=True):
        _check_attribute(f"{field}.{attribute.name}", attribute, value)


def _check_attribute(field: str, attribute: Attribute, value: AttributeValue) -> None:
    is_list = attribute.kind is AttributeKind.LIST
    if isinstance(value, tuple) != is_list:
        raise InvalidGraph(field, "one integer is wanted" if isinstance(value, tuple) else "a list is wanted")
    values = value if isinstance(value, tuple) else (value,)
    check_count(field, len(values), attribute.count_lo, attribute.count_hi)
    for each in values:
        if not attribute.lo <= each <= attribute.hi:
            raise InvalidGraph(field, f"{each} is not from {attribute.lo} to {attribute.hi}")


def check_structure(graph: Graph) -> None:
    """
    Check all that needs no shapes of results.

    Raises
    ------
    InvalidGraph : the field names the first thing that is wrong.
    """
    check_count("inputs", len(graph.inputs), 0, limits.INPUTS_MAX)
    check_count("states", len(graph.states), 0, limits.STATES_MAX)
    check_count("constants", len(graph.constants), 0, limits.CONSTANTS_MAX)
    check_count("nodes", len(graph.nodes), 0, limits.NODES_MAX)
    check_count("outputs", len(graph.outputs), 1, limits.OUTPUTS_MAX)
    check_count("updates", len(graph.updates), len(graph.states), len(graph.states))
    taken: set[str] = set()
    for part, tensors in (("inputs", graph.inputs), ("states", graph.states)):
        for index, tensor in enumerate(tensors):
            check_name(f"{part}[{index}].name", tensor.name, taken)
            check_declaration(f"{part}[{index}]", tensor)
    for index, tensor in enumerate(graph.constants):
        if tensor.name:
            raise InvalidGraph(f"constants[{index}].name", "a constant has no name")
        check_declaration(f"constants[{index}]", tensor)
    tensor_count = len(graph.declarations)
    for index, node in enumerate(graph.nodes):
        check_node(f"nodes[{index}]", node, tensor_count)
        tensor_count += OPERATORS[node.operator].output_count
    for index, tensor_number in enumerate(graph.updates):
        check_tensor(f"updates[{index}]", tensor_number, tensor_count)
    taken.clear()
    for index, output in enumerate(graph.outputs):
        check_name(f"outputs[{index}].name", output.name, taken)
        check_tensor(f"outputs[{index}].tensor", output.tensor, tensor_count)
