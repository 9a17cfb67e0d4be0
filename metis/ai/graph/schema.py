"""
The operators by code and name, with how many tensors they take and give and which attributes they have.

What an operator means stands in docs/ai-graph.md; its shapes, bounds and costs are proven in the modules ``rules_*``.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Final

from metis.ai.graph.limits import ATTRIBUTE_VALUES_MAX, DIMENSION_MAX, NODE_INPUTS_MAX
from metis.ai.graph.types import AttributeValue, DType, Node

__all__ = ["OPERATORS", "OPERATOR_OF_CODE", "Attribute", "AttributeKind", "Operator", "attributes_of"]

_INT64_LO: Final = DType.INT64.lo
_INT64_HI: Final = DType.INT64.hi


class AttributeKind(enum.Enum):
    """How an attribute is written in a graph's bytes."""

    FLAG = "flag"
    DTYPE = "type"
    INTEGER = "integer"
    LIST = "list"


@dataclasses.dataclass(frozen=True, slots=True)
class Attribute:
    """
    One attribute of an operator.

    Attributes
    ----------
    lo, hi : the least and greatest value, of each element for a list.
    count_lo, count_hi : for a list, how many values it may have.
    """

    name: str
    kind: AttributeKind
    lo: int
    hi: int
    count_lo: int = 1
    count_hi: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Operator:
    """An operator's outside: ``inputs_lo`` to ``inputs_hi`` tensors in, ``output_count`` out."""

    code: int
    name: str
    inputs_lo: int
    inputs_hi: int
    output_count: int
    attributes: tuple[Attribute, ...]


def _flag(name: str) -> Attribute:
    return Attribute(name, AttributeKind.FLAG, 0, 1)


def _type(name: str, *allowed: DType) -> Attribute:
    return Attribute(name, AttributeKind.DTYPE, min(allowed), max(allowed))


def _integer(name: str, lo: int, hi: int) -> Attribute:
    return Attribute(name, AttributeKind.INTEGER, lo, hi)


def _list(name: str, lo: int, hi: int, count_lo: int, count_hi: int | None = None) -> Attribute:
    return Attribute(name, AttributeKind.LIST, lo, hi, count_lo, count_lo if count_hi is None else count_hi)


_ANY: Final = _type("dtype", DType.INT8, DType.INT64)
_NARROW: Final = _type("dtype", DType.INT8, DType.INT16)
_ACCUMULATOR: Final = _type("accumulator", DType.INT32, DType.INT64)
_SHIFT: Final = _integer("shift", 0, 62)
_STRIDES: Final = _list("strides", 1, DIMENSION_MAX, 2)
_PADS: Final = _list("pads", 0, 1 << 16, 4)
_KERNEL: Final = _list("kernel", 1, 1 << 16, 2)
_AXIS: Final = _integer("axis", 0, ATTRIBUTE_VALUES_MAX - 1)
_SHAPE: Final = _list("shape", 1, DIMENSION_MAX, 1, ATTRIBUTE_VALUES_MAX)

_TABLE: Final = (
    Operator(1, "matmul", 2, 2, 1, (_flag("transpose_b"), _ACCUMULATOR)),
    Operator(
        2,
        "conv2d",
        2,
        2,
        1,
        (
            _STRIDES,
            _PADS,
            _list("dilations", 1, 1 << 16, 2),
            _integer("groups", 1, DIMENSION_MAX),
            _ACCUMULATOR,
        ),
    ),
    Operator(3, "max_pool2d", 1, 1, 1, (_KERNEL, _STRIDES, _PADS)),
    Operator(4, "sum_pool2d", 1, 1, 1, (_KERNEL, _STRIDES, _PADS, _ACCUMULATOR)),
    Operator(5, "gather", 2, 2, 1, ()),
    Operator(6, "add", 2, 2, 1, (_ANY,)),
    Operator(7, "subtract", 2, 2, 1, (_ANY,)),
    Operator(8, "multiply", 2, 2, 1, (_ANY,)),
    Operator(9, "divide", 2, 2, 1, (_integer("fraction_bits", 0, 62), _ANY)),
    Operator(10, "minimum", 2, 2, 1, (_ANY,)),
    Operator(11, "maximum", 2, 2, 1, (_ANY,)),
    Operator(12, "equal", 2, 2, 1, ()),
    Operator(13, "less", 2, 2, 1, ()),
    Operator(14, "select", 3, 3, 1, (_ANY,)),
    Operator(15, "clip", 1, 1, 1, (_integer("lo", _INT64_LO, _INT64_HI), _integer("hi", _INT64_LO, _INT64_HI), _ANY)),
    Operator(16, "rescale", 2, 2, 1, (_SHIFT, _ANY)),
    Operator(17, "lookup", 2, 2, 1, (_integer("first", _INT64_LO, _INT64_HI), _SHIFT)),
    Operator(18, "quantise_rows", 1, 1, 2, (_NARROW,)),
    Operator(
        19,
        "layer_norm",
        1,
        1,
        1,
        (_flag("center"), _integer("shift", 0, 31), _integer("epsilon", 1, 1 << 60), _integer("fraction_bits", 0, 24)),
    ),
    Operator(
        20,
        "softmax",
        1,
        2,
        1,
        (_integer("multiplier", 0, DType.INT32.hi), _SHIFT, _list("exp2", -(1 << 26), 1 << 26, 4), _NARROW),
    ),
    Operator(21, "reduce_sum", 1, 1, 1, (_AXIS, _ACCUMULATOR)),
    Operator(22, "reduce_max", 1, 1, 1, (_AXIS,)),
    Operator(23, "arg_max", 1, 1, 1, ()),
    Operator(24, "top_k", 1, 1, 2, (_integer("k", 1, DIMENSION_MAX),)),
    Operator(25, "sample", 2, 2, 1, ()),
    Operator(26, "reshape", 1, 1, 1, (_SHAPE,)),
    Operator(27, "transpose", 1, 1, 1, (_list("order", 0, ATTRIBUTE_VALUES_MAX - 1, 1, ATTRIBUTE_VALUES_MAX),)),
    Operator(
        28,
        "slice",
        1,
        1,
        1,
        (
            _list("starts", 0, DIMENSION_MAX, 1, ATTRIBUTE_VALUES_MAX),
            _list("stops", 1, DIMENSION_MAX, 1, ATTRIBUTE_VALUES_MAX),
            _list("steps", 1, DIMENSION_MAX, 1, ATTRIBUTE_VALUES_MAX),
        ),
    ),
    Operator(29, "concat", 1, NODE_INPUTS_MAX, 1, (_AXIS,)),
    Operator(30, "broadcast", 1, 1, 1, (_SHAPE,)),
    Operator(31, "cache_append", 3, 3, 1, (_AXIS,)),
)

OPERATORS: Final[Mapping[str, Operator]] = {operator.name: operator for operator in _TABLE}
OPERATOR_OF_CODE: Final[Mapping[int, Operator]] = {operator.code: operator for operator in _TABLE}


def attributes_of(node: Node) -> dict[str, AttributeValue]:
    """The attributes of a well-formed node by name."""
    schema = OPERATORS[node.operator].attributes
    return {attribute.name: value for attribute, value in zip(schema, node.attributes, strict=True)}
