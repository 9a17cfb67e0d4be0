"""
The work of a node, in MACs: what its shapes and types make a processor do, in products of bytes.

The unit is one multiplication with addition of a large product of bytes on AVX2, about a hundredth of a nanosecond on a
processor of 2023. What is charged for each node, run, row, line and element is what these took there
(``metis bench prices``), so that no shape is much cheaper than it is slow. docs/ai-graph.md has the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from metis.ai.graph.rule import Attributes, Results
from metis.ai.graph.types import DType, TensorFacts

__all__ = ["NODE_MACS", "work_of"]

NODE_MACS: Final = 6_000
"""Of every node, whatever it does: as much as an operator on one element takes."""

# Of each operand and result of a run of single elements.
_RUN_MACS: Final = 3_500
_ROW_MACS: Final = 12_000
_MASKED_ROW_MACS: Final = 14_000
_MASK_MACS: Final = 200
_SHORT_ROW_MACS: Final = 2_500
_LINE_MACS: Final = 2_000

# Of each element.
_ELEMENT_MACS: Final[Mapping[str, int]] = {
    "divide": 1_000,
    "equal": 20,
    "less": 20,
    "select": 20,
    "lookup": 150,
    "quantise_rows": 20,
    "layer_norm": 10,
    "softmax": 150,
    "arg_max": 120,
    "sample": 120,
    "reduce_sum": 20,
    "reduce_max": 20,
    "transpose": 60,
    "slice": 60,
}

# Products: of 64 columns (more where they are packed in panels), of a row of 64 columns, of a term of such a row, of an
# element of the second factor.
_COLUMNS: Final = 64
_COLUMNS_MACS: Final = 2_500
_PANELS_MACS: Final = 18_000
_PANEL_ROW_MACS: Final = 1_300
_PLAIN_ROW_MACS: Final = 3_200
_PLAIN_TERM_MACS: Final = 800
_PLAIN_MACS: Final = 30
_PACKED_MACS: Final = 130
_SEEN_MACS: Final = 450
# What is multiplied in panels: from so many columns on, up to so many terms, padded to these.
_PANEL_COLUMNS_MIN: Final = 8
_PANEL_TERMS_MAX: Final = 1 << 14
_PANEL: Final = 16
_PAIR: Final = 2

_PLANE_MACS: Final = 3_000
_PLACE_MACS: Final = 200
_WINDOW_MACS: Final = 80

_TOP_MACS: Final = 300
_TOP_ROW_MACS: Final = 4_000
_ENTRY_MACS: Final = 1_500
_ENTRY_ELEMENT_MACS: Final = 4

_Work = Callable[[str, Sequence[TensorFacts], Results, Attributes], int]


def work_of(
    operator: str, operands: Sequence[TensorFacts], results: Results, attributes: Attributes, *, is_packed: bool
) -> int:
    """
    The work of a node.

    Parameters
    ----------
    is_packed : the second factor of a product is a constant, which is brought into panels once.
    """
    if operator == "matmul":
        return NODE_MACS + _matmul(operands, results, is_packed=is_packed)
    return NODE_MACS + _WORK[operator](operator, operands, results, attributes)


def _runs(operands: Sequence[TensorFacts], result: TensorFacts) -> int:
    """
    How often single elements are begun with: elements of the result, but those of its last dimensions that every
    operand either has or repeats.
    """
    length, kept = 1, None
    for axis in range(-1, -len(result.shape) - 1, -1):
        size = result.shape[axis]
        if size == 1:
            continue
        has = tuple(-axis <= len(x.shape) and x.shape[axis] == size for x in operands)
        if kept not in (None, has):
            break
        length, kept = length * size, has
    return result.element_count // length


def _elementwise(operator: str, operands: Sequence[TensorFacts], results: Results, _: Attributes) -> int:
    (y,) = results
    # A table is no operand of the run.
    visited = operands[:1] if operator == "lookup" else operands
    return (len(visited) + 1) * _RUN_MACS * _runs(visited, y) + _ELEMENT_MACS.get(operator, 1) * y.element_count


def _rows(operator: str, operands: Sequence[TensorFacts], _: Results, __: Attributes) -> int:
    x, is_masked = operands[0], len(operands) == 2
    row, mask = (_MASKED_ROW_MACS, _MASK_MACS) if is_masked else (_ROW_MACS, 0)
    return row * (x.element_count // x.shape[-1]) + (_ELEMENT_MACS[operator] + mask) * x.element_count


def _choice(operator: str, operands: Sequence[TensorFacts], _: Results, __: Attributes) -> int:
    x = operands[0]
    return _SHORT_ROW_MACS * (x.element_count // x.shape[-1]) + _ELEMENT_MACS[operator] * x.element_count


def _top_k(_: str, operands: Sequence[TensorFacts], results: Results, __: Attributes) -> int:
    x, k = operands[0], results[0].shape[-1]
    return _TOP_ROW_MACS * (x.element_count // x.shape[-1]) + _TOP_MACS * (1 + k.bit_length()) * x.element_count


def _reduce(operator: str, operands: Sequence[TensorFacts], _: Results, attributes: Attributes) -> int:
    x, axis = operands[0], attributes.integer("axis")
    inner = math.prod(x.shape[axis + 1 :])
    lines = x.element_count // (x.shape[axis] if inner == 1 else inner)
    return _SHORT_ROW_MACS * lines + _ELEMENT_MACS[operator] * x.element_count


def _matmul(operands: Sequence[TensorFacts], results: Results, *, is_packed: bool) -> int:
    a, b = operands
    (y,) = results
    is_shared = len(b.shape) == 2
    batch = 1 if is_shared else math.prod(y.shape[:-2])
    rows = y.element_count // y.shape[-1] // batch
    return _product(operands, y, batch, rows, a.shape[-1], y.shape[-1], 0 if is_shared and is_packed else _PACKED_MACS)


def _conv2d(_: str, operands: Sequence[TensorFacts], results: Results, attributes: Attributes) -> int:
    weights, (y,) = operands[1], results
    groups = attributes.integer("groups")
    filters, depth, rows, columns = weights.shape
    terms, places = depth * rows * columns, y.shape[2] * y.shape[3]
    return _product(operands, y, y.shape[0] * groups, filters // groups, terms, places, _SEEN_MACS)


def _product(
    factors: Sequence[TensorFacts], y: TensorFacts, batch: int, rows: int, terms: int, columns: int, packing: int
) -> int:
    """``batch`` products of (rows, terms) and (terms, columns); ``packing`` is of an element of the second factor."""
    blocks = -(-columns // _COLUMNS)
    widest = max(factor.dtype for factor in factors)
    is_narrow = widest <= DType.INT16 and y.dtype is DType.INT32
    if is_narrow and columns >= _PANEL_COLUMNS_MIN and terms <= _PANEL_TERMS_MAX:
        padded = -(-terms // _PAIR) * _PAIR * (-(-columns // _PANEL) * _PANEL)
        begun = _PANELS_MACS if packing else _COLUMNS_MACS
        each = begun * blocks + packing * terms * columns + rows * (_PANEL_ROW_MACS * blocks + padded)
    else:
        lines = (1 + rows) * terms * blocks
        each = _COLUMNS_MACS * blocks + (packing or _PACKED_MACS) * terms * columns + _PLAIN_TERM_MACS * lines
        each += rows * (_PLAIN_ROW_MACS * blocks + _PLAIN_MACS * terms * columns)
    return batch * each


def _pool(_: str, __: Sequence[TensorFacts], results: Results, attributes: Attributes) -> int:
    (y,) = results
    planes, window = y.shape[0] * y.shape[1], math.prod(attributes.integers("kernel"))
    return planes * (_PLANE_MACS + _PLACE_MACS * window * y.shape[2]) + _WINDOW_MACS * window * y.element_count


def _gather(_: str, operands: Sequence[TensorFacts], results: Results, __: Attributes) -> int:
    return _ENTRY_MACS * operands[1].element_count + _ENTRY_ELEMENT_MACS * results[0].element_count


def _moved(operator: str, _: Sequence[TensorFacts], results: Results, __: Attributes) -> int:
    """Lines are the last dimension that has more than one element."""
    (y,) = results
    line = next((size for size in reversed(y.shape) if size > 1), 1)
    return _LINE_MACS * (y.element_count // line) + _ELEMENT_MACS[operator] * y.element_count


def _repeated(_: str, operands: Sequence[TensorFacts], results: Results, __: Attributes) -> int:
    (y,) = results
    return _LINE_MACS * _runs(operands, y) + y.element_count


def _joined(_: str, operands: Sequence[TensorFacts], results: Results, attributes: Attributes) -> int:
    (y,) = results
    lines = math.prod(y.shape[: attributes.integer("axis")])
    return _LINE_MACS * lines * len(operands) + y.element_count


def _nothing(_: str, __: Sequence[TensorFacts], ___: Results, ____: Attributes) -> int:
    return 0


_WORK: Final[Mapping[str, _Work]] = {
    **dict.fromkeys(("add", "subtract", "multiply", "divide", "minimum", "maximum", "equal", "less"), _elementwise),
    **dict.fromkeys(("select", "clip", "rescale", "lookup"), _elementwise),
    **dict.fromkeys(("quantise_rows", "layer_norm", "softmax"), _rows),
    **dict.fromkeys(("arg_max", "sample"), _choice),
    "top_k": _top_k,
    **dict.fromkeys(("reduce_sum", "reduce_max"), _reduce),
    "conv2d": _conv2d,
    **dict.fromkeys(("max_pool2d", "sum_pool2d"), _pool),
    "gather": _gather,
    "reshape": _nothing,
    **dict.fromkeys(("transpose", "slice"), _moved),
    "broadcast": _repeated,
    **dict.fromkeys(("concat", "cache_append"), _joined),
}
