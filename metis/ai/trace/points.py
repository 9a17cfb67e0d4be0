"""Which tensors a trace commits to, and how each of them follows from the others; docs/receipts.md."""

from __future__ import annotations

import dataclasses
from typing import Final

from metis.ai.graph.schema import OPERATORS
from metis.ai.graph.types import Graph
from metis.types import InvalidInput

__all__ = ["STEP_NODES_MAX", "Step", "points_of", "step_of"]

# BOUND: nodes that a point may be computed with from other points; what only moves elements does not count.
STEP_NODES_MAX: Final = 64
_MOVES: Final = frozenset({"reshape", "transpose"})
_SUMS: Final = frozenset({"matmul", "conv2d"})


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """
    How one point follows from others.

    Attributes
    ----------
    point : its tensor's number.
    nodes : numbers of the nodes that compute it, in order; the last one gives it. None for an input or a state.
    operands : the points and constants that they read, by tensor number.
    product : number of the node that is the sum of products among them, or None.
    """

    point: int
    nodes: tuple[int, ...]
    operands: tuple[int, ...]
    product: int | None


def points_of(graph: Graph) -> tuple[int, ...]:
    """The numbers of the tensors that a trace of a valid graph commits to, ascending."""
    rule = _Rule(graph)
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
        return Step(point, (), (), None)
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
    product = next((node for node in nodes if graph.nodes[node].operator in _SUMS), None)
    return Step(point, tuple(sorted(nodes)), tuple(sorted(operands)), product)


def _makers(graph: Graph) -> list[int]:
    """The node that gives each result."""
    return [index for index, node in enumerate(graph.nodes) for _ in range(OPERATORS[node.operator].output_count)]


class _Rule:
    """The rule, node by node in order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
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

    def sums(self, tree: frozenset[int]) -> int:
        """How many of the nodes are sums of products."""
        return sum(self.graph.nodes[node].operator in _SUMS for node in tree)

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
        if self.sums(tree) > 1:
            for number in sorted(operands - self.points):
                if self.sums(self.tree_of(number)):
                    self.commit(number)
            tree = self.tree(node, operands)
        if len(tree) > STEP_NODES_MAX:
            for number in operands:
                self.commit(number)
            tree = self.tree(node, operands)
        self.trees[node] = tree
        if self.sums(tree) and any(self.readers.get(number, 0) > 1 for number in self.results[node]):
            self.points.update(self.results[node])
