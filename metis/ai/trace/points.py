"""Which tensors a trace commits to, and how each of them follows from the others; docs/receipts.md."""

from __future__ import annotations

import dataclasses
from typing import Final

from metis.ai.graph.schema import OPERATORS
from metis.ai.graph.types import Graph
from metis.ai.graph.validation import ProvenGraph
from metis.types import InvalidInput

__all__ = ["STEP_NODES_MAX", "STEP_WEIGHT_MAX", "Step", "points_of", "step_of"]

# BOUND: nodes that a point may be computed with from other points; what only moves elements does not count.
STEP_NODES_MAX: Final = 64
# BOUND: what the products may weigh that a point is computed with; one with a constant weighs 2, others 1.
STEP_WEIGHT_MAX: Final = 4
_MOVES: Final = frozenset({"reshape", "transpose"})
_PRODUCTS: Final = frozenset({"matmul", "conv2d"})


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """
    How one point follows from others.

    Attributes
    ----------
    point : its tensor's number.
    nodes : numbers of the nodes that compute it, in order; the last one gives it. None for an input or a state.
    operands : the points and constants that they read, by tensor number.
    products : numbers of the nodes among them that are sums of products.
    """

    point: int
    nodes: tuple[int, ...]
    operands: tuple[int, ...]
    products: tuple[int, ...]


def points_of(proven: ProvenGraph) -> tuple[int, ...]:
    """The numbers of the tensors that a trace of a graph commits to, ascending."""
    graph = proven.graph
    rule = _Rule(proven)
    for node in range(len(graph.nodes)):
        rule.visit(node)
    given = {*graph.updates, *(output.tensor for output in graph.outputs)}
    results = {number for number in rule.points | given if number >= rule.first_result}
    return (*range(graph.first_constant), *sorted(results))


def step_of(graph: Graph, points: tuple[int, ...], point: int) -> Step:
    """
    The nodes that compute a point from other points.

    Raises
    ------
    InvalidInput : the tensor is no point.
    """
    if point not in points:
        raise InvalidInput(f"tensor {point}", "a trace does not commit to it")
    made_by = _makers(graph)
    first_result = len(graph.declarations)
    if point < first_result:
        return Step(point, (), (), ())
    stops = frozenset(points)
    nodes, operands, open_nodes = set(), set(), [made_by[point - first_result]]
    while open_nodes:
        node = open_nodes.pop()
        if node in nodes:
            continue
        nodes.add(node)
        for number in graph.nodes[node].inputs:
            if number < first_result or number in stops:
                operands.add(number)
            else:
                open_nodes.append(made_by[number - first_result])
    products = tuple(node for node in sorted(nodes) if graph.nodes[node].operator in _PRODUCTS)
    return Step(point, tuple(sorted(nodes)), tuple(sorted(operands)), products)


def _makers(graph: Graph) -> list[int]:
    """The node that gives each result."""
    return [index for index, node in enumerate(graph.nodes) for _ in range(OPERATORS[node.operator].output_count)]


class _Rule:
    """The rule, node by node in order."""

    def __init__(self, proven: ProvenGraph) -> None:
        graph = proven.graph
        self.graph, self.tensors = graph, proven.tensors
        self.first_result = len(graph.declarations)
        self.made_by = _makers(graph)
        self.points: set[int] = set()
        self.results: list[list[int]] = [[] for _ in graph.nodes]
        for place, maker in enumerate(self.made_by):
            self.results[maker].append(self.first_result + place)
        self.trees: list[frozenset[int]] = [frozenset()] * len(graph.nodes)
        # How many nodes that do not only move a result read it; one more for each time that a run gives it back.
        self.readers: dict[int, int] = {}
        for index, node in enumerate(graph.nodes):
            if node.operator not in _MOVES:
                self._count(self.operands(index))
        for number in (*graph.updates, *(output.tensor for output in graph.outputs)):
            self._count({self.moved(number)})

    def _count(self, numbers: set[int]) -> None:
        for number in numbers:
            self.readers[number] = self.readers.get(number, 0) + 1

    def moved(self, number: int) -> int:
        """What a tensor was before its elements were only moved."""
        while number >= self.first_result:
            made_by = self.graph.nodes[self.made_by[number - self.first_result]]
            if made_by.operator not in _MOVES:
                break
            number = made_by.inputs[0]
        return number

    def operands(self, node: int) -> set[int]:
        """The results that a node reads."""
        moved = {self.moved(number) for number in self.graph.nodes[node].inputs}
        return {number for number in moved if number >= self.first_result}

    def tree_of(self, number: int) -> frozenset[int]:
        """The nodes that a result is computed with from points."""
        return self.trees[self.made_by[number - self.first_result]]

    def weight(self, tree: frozenset[int]) -> int:
        """What the products among some nodes weigh."""
        constants = range(self.graph.first_constant, self.first_result)
        products = [self.graph.nodes[node] for node in tree if self.graph.nodes[node].operator in _PRODUCTS]
        return sum(2 if any(number in constants for number in node.inputs) else 1 for node in products)

    def result_bytes(self, number: int) -> int:
        """Bytes of all results of the node that gives a tensor."""
        return sum(self.tensors[result].size_bytes for result in self.results[self.made_by[number - self.first_result]])

    def commit(self, number: int) -> None:
        """Make all results of the node that gives one of them points."""
        self.points.update(self.results[self.made_by[number - self.first_result]])

    def tree(self, node: int, operands: set[int]) -> frozenset[int]:
        """The nodes that a node's results are computed with from what are points so far."""
        trees = [self.tree_of(number) for number in operands if number not in self.points]
        return frozenset({node}).union(*trees)

    def visit(self, node: int) -> None:
        """Decide about a node's operands, then its results."""
        if self.graph.nodes[node].operator in _MOVES:
            return
        operands = self.operands(node)
        tree = self.tree(node, operands)
        heavy = [number for number in operands - self.points if self.weight(self.tree_of(number))]
        # What costs least to commit to is committed to first.
        for number in sorted(heavy, key=lambda number: (self.result_bytes(number), number)):
            if self.weight(tree) > STEP_WEIGHT_MAX:
                self.commit(number)
                tree = self.tree(node, operands)
        if len(tree) > STEP_NODES_MAX:
            for number in operands:
                self.commit(number)
            tree = self.tree(node, operands)
        self.trees[node] = tree
        if self.weight(tree) and any(self.readers.get(number, 0) > 1 for number in self.results[node]):
            self.points.update(self.results[node])
