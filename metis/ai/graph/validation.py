"""
From a graph to what is proven of it: shapes, types, bounds of every element, work and memory.

Nothing runs and no weights are needed: a constant is known by its declared range, which is checked when weights are
loaded. The proof is by intervals: each operator's result has bounds that follow from its operands' bounds, and every
sum and product that an operator forms on the way fits its accumulator in any order of summation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from metis.ai.graph.limits import Limits
from metis.ai.graph.rule import Attributes, Refused, Results
from metis.ai.graph.rules_elementwise import RULES_ELEMENTWISE
from metis.ai.graph.rules_linear import RULES_LINEAR
from metis.ai.graph.rules_rows import RULES_ROWS
from metis.ai.graph.rules_shape import RULES_SHAPE
from metis.ai.graph.schema import OPERATORS, attributes_of
from metis.ai.graph.structure import check_structure
from metis.ai.graph.types import Declaration, Graph, Node, TensorFacts
from metis.ai.graph.work import work_of
from metis.types import InvalidGraph

__all__ = ["Cost", "ProvenGraph", "facts_of", "padded_bytes", "results_of", "validate_graph"]

_RULES = {**RULES_ELEMENTWISE, **RULES_LINEAR, **RULES_ROWS, **RULES_SHAPE}
_ALIGNMENT_BYTES = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """
    What one run costs, known before it.

    Attributes
    ----------
    macs : multiplications with addition, or their equivalent.
    moved_bytes : of all operands that nodes read and all results that they write.
    memory_bytes : the most that inputs, states and results take at one time, each padded to 64 bytes.
    weights_bytes : of all constants, each padded to 64 bytes.
    """

    macs: int
    moved_bytes: int
    memory_bytes: int
    weights_bytes: int


@dataclasses.dataclass(frozen=True, slots=True)
class ProvenGraph:
    """
    A graph of which it is proven that it runs without overflow, and at what cost.

    Attributes
    ----------
    tensors : what is known of each tensor, by its number.
    node_macs : the work of each node.
    """

    graph: Graph
    tensors: tuple[TensorFacts, ...]
    node_macs: tuple[int, ...]
    cost: Cost


def padded_bytes(size_bytes: int) -> int:
    """A size rounded up to a multiple of 64 bytes, as tensors lie in memory and in the weights."""
    return -(-size_bytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES


def facts_of(tensor: Declaration) -> TensorFacts:
    """What is known of a declared tensor."""
    return TensorFacts(tensor.dtype, tensor.shape, tensor.lo, tensor.hi)


def results_of(field: str, node: Node, tensors: Sequence[TensorFacts]) -> Results:
    """
    What a well-formed node gives, given what is known of the tensors before it.

    Raises
    ------
    InvalidGraph : at ``field``: the operator does not take these operands, or may overflow.
    """
    operands = [tensors[number] for number in node.inputs]
    try:
        return _RULES[node.operator](operands, Attributes(attributes_of(node)))
    except Refused as refused:
        raise InvalidGraph(field, f"{node.operator}: {refused}") from None


def validate_graph(graph: Graph, limits: Limits | None = None) -> ProvenGraph:
    """
    Prove that a graph runs on every input in its declared range, and what that costs.

    Takes time in proportion to the number of nodes, whatever the shapes.

    Raises
    ------
    InvalidGraph : the field names the node or limit, the problem the values.
    """
    check_structure(graph)
    tensors = [facts_of(tensor) for tensor in graph.declarations]
    limits = limits or Limits()
    weights_bytes = sum(padded_bytes(facts_of(tensor).size_bytes) for tensor in graph.constants)
    _check_limit("weights_bytes", weights_bytes, limits.weights_bytes)
    node_macs = []
    moved_bytes = 0
    for index, node in enumerate(graph.nodes):
        results = results_of(f"nodes[{index}]", node, tensors)
        operands = [tensors[number] for number in node.inputs]
        is_packed = graph.first_constant <= node.inputs[-1] < len(graph.declarations)
        node_macs.append(
            work_of(node.operator, operands, results, Attributes(attributes_of(node)), is_packed=is_packed)
        )
        tensors += results
        moved_bytes += sum(facts.size_bytes for facts in (*operands, *results))
    for index, (state, number) in enumerate(zip(graph.states, graph.updates, strict=True)):
        _check_state(index, state, tensors[number])
    cost = Cost(sum(node_macs), moved_bytes, _peak_bytes(graph, tensors), weights_bytes)
    _check_limit("macs", cost.macs, limits.macs)
    _check_limit("memory_bytes", cost.memory_bytes, limits.memory_bytes)
    return ProvenGraph(graph, tuple(tensors), tuple(node_macs), cost)


def _check_limit(field: str, value: int, limit: int) -> None:
    if value > limit:
        raise InvalidGraph(field, f"{value} is more than the limit {limit}")


def _check_state(index: int, state: Declaration, update: TensorFacts) -> None:
    """By induction a state stays within its range: it begins as zeros, and each run's update is within it."""
    if not state.lo <= 0 <= state.hi:
        raise InvalidGraph(f"states[{index}].lo", f"{state.lo} to {state.hi} leave out zero, with which a state begins")
    if (update.dtype, update.shape) != (state.dtype, state.shape):
        raise InvalidGraph(f"updates[{index}]", f"{update.dtype.name.lower()} {update.shape} is not the state's type")
    if update.lo < state.lo or update.hi > state.hi:
        problem = f"it may be {update.lo} to {update.hi}; the state is {state.lo} to {state.hi}"
        raise InvalidGraph(f"updates[{index}]", problem)


def _peak_bytes(graph: Graph, tensors: Sequence[TensorFacts]) -> int:
    """The most bytes in use at one time: a result lives from its node to the last that reads it, others throughout."""
    base = len(graph.declarations)
    fixed = sum(padded_bytes(facts.size_bytes) for facts in tensors[: graph.first_constant])
    node_of = [index for index, node in enumerate(graph.nodes) for _ in range(OPERATORS[node.operator].output_count)]
    last_use = list(node_of)
    for index, node in enumerate(graph.nodes):
        for number in node.inputs:
            if number >= base:
                last_use[number - base] = index
    for number in (*graph.updates, *(output.tensor for output in graph.outputs)):
        if number >= base:
            last_use[number - base] = len(graph.nodes)
    change = [0] * (len(graph.nodes) + 2)
    for place, (begin, end) in enumerate(zip(node_of, last_use, strict=True)):
        size = padded_bytes(tensors[base + place].size_bytes)
        change[begin] += size
        change[end + 1] -= size
    live = peak = fixed
    for difference in change:
        live += difference
        peak = max(peak, live)
    return peak
