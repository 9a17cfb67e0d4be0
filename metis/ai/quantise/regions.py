"""
Recognising functions that exporters spell out in primitives.

A piece of the graph that depends on one tensor and on scalars is a function of one number: it becomes a table,
whatever it is made of (GELU in any spelling, SiLU, Mish, …). A piece that computes a normalisation of rows is found by
what it does: it is run on chosen inputs, its scale, bias and epsilon are read off the results, and a last run decides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from metis.ai.quantise.execution import evaluate_node, run_float
from metis.ai.quantise.graph import Array, FloatGraph, FloatNode, Names

__all__ = ["with_regions"]

_CURVED: Final = frozenset(
    {
        *("Celu", "Cos", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Log", "Mish", "Reciprocal", "Selu"),
        *("Sigmoid", "Sin", "Softplus", "Softsign", "Sqrt", "Swish", "Tanh", "ThresholdedRelu"),
    }
)
_STRAIGHT: Final = frozenset(
    {
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Div",
        "Dropout",
        "Identity",
        "LeakyRelu",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Pow",
        "Relu",
        "Sub",
        "Sum",
    }
)
_NORMALISING: Final = frozenset(
    {
        *("Abs", "Add", "Cast", "Clip", "Div", "Expand", "Identity", "Max", "Mul", "Neg", "Pow", "Reciprocal"),
        *("ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare", "Sqrt", "Sub"),
    }
)
_NORMALISING_NODES_MAX: Final = 48
_POINTWISE_NODES_MAX: Final = 64
_TOLERANCE: Final = 2e-3


def with_regions(graph: FloatGraph, sample: Mapping[str, Array]) -> FloatGraph:
    """The same function with normalisations and functions of one number as nodes of their own."""
    values: dict[str, tuple[tuple[int, ...], str]] = {}
    run_float(graph, sample, lambda name, value: values.update({name: (np.shape(value), np.asarray(value).dtype.kind)}))
    finder = _Finder(graph, values)
    finder.normalisations()
    finder.tables()
    graph.prune()
    return graph


class _Finder:
    """One graph being searched; replaced nodes are replaced in it."""

    def __init__(self, graph: FloatGraph, values: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
        self._graph = graph
        self._values = values
        self._names = Names(graph)
        self._index = {output: place for place, node in enumerate(graph.nodes) for output in node.outputs if output}
        self._readers: dict[str, list[int]] = {}
        for place, node in enumerate(graph.nodes):
            for name in set(node.inputs):
                self._readers.setdefault(name, []).append(place)
        self._wanted = {*graph.outputs, *(tensor for _, tensor in graph.states)}

    def _variables(self, node: FloatNode) -> set[str]:
        return {name for name in node.inputs if name and name not in self._graph.constants}

    def _closure(self, root: str, allowed: Callable[[FloatNode], bool], most: int) -> list[int]:
        """Places of the nodes that depend on one tensor and constants alone, in order."""
        inside, waiting = {root}, set(self._readers.get(root, []))
        found: list[int] = []
        while waiting and len(found) < most:
            place = min(waiting)
            waiting.remove(place)
            node = self._graph.nodes[place]
            if len(node.outputs) == 1 and self._variables(node) <= inside and allowed(node):
                inside.add(node.outputs[0])
                found.append(place)
                waiting.update(self._readers.get(node.outputs[0], []))
        return found

    def _function(self, root: str, places: Sequence[int], result: str) -> Callable[[Array], Array]:
        """What a piece of the graph computes."""
        wanted, nodes = {result}, []
        for place in reversed(places):
            node = self._graph.nodes[place]
            if wanted.intersection(node.outputs):
                wanted.update(node.inputs)
                nodes.append(_in_double(node))
        constants = {name: _double(self._graph.constants[name]) for name in wanted if name in self._graph.constants}
        nodes.reverse()

        def function(x: Array) -> Array:
            tensors = {**constants, root: np.asarray(x, np.float64)}
            for node in nodes:
                (tensors[node.outputs[0]],) = evaluate_node(
                    node, [tensors[name] if name else None for name in node.inputs]
                )
            return tensors[result]

        return function

    # Functions of one number.

    def _pointwise(self, node: FloatNode) -> bool:
        if node.operator not in _CURVED and node.operator not in _STRAIGHT:
            return False
        shape, kind = self._values[node.outputs[0]]
        variables = self._variables(node)
        scalars = all(
            np.size(self._graph.constants[name]) == 1 for name in node.inputs if name and name not in variables
        )
        return kind == "f" and scalars and all(self._values[name] == (shape, "f") for name in variables)

    def _is_curved(self, node: FloatNode) -> bool:
        if node.operator in _CURVED:
            return True
        if node.operator == "Div":
            return node.inputs[0] in self._graph.constants
        if node.operator == "Pow":
            exponent = self._graph.constants.get(node.inputs[1])
            return exponent is None or float(exponent.reshape(-1)[0]) not in (1.0, 2.0)
        return False

    def tables(self) -> None:
        """Replace functions of one number."""
        done: set[int] = set()
        for place, node in enumerate(list(self._graph.nodes)):
            if (
                place in done
                or not self._is_curved(node)
                or not self._pointwise(node)
                or len(self._variables(node)) != 1
            ):
                continue
            root = self._root(node)
            places = self._closure(root, self._pointwise, 1 << 10)
            curved: set[str] = set()
            for inside in places:
                member = self._graph.nodes[inside]
                if self._is_curved(member) or curved.intersection(member.inputs):
                    curved.update(member.outputs)
                    done.add(inside)
            inner = set(places)
            for inside in places:
                (result,) = self._graph.nodes[inside].outputs
                outside = result in self._wanted or any(reader not in inner for reader in self._readers.get(result, []))
                if result in curved and outside:
                    function = self._function(root, places, result)
                    attributes = {"function": function}
                    self._graph.nodes[inside] = FloatNode("Table", (root,), (result,), attributes, node.name)

    def _root(self, node: FloatNode) -> str:
        """The farthest tensor on which a function of one number depends, and through which alone."""
        frontier = self._variables(node)
        (root,) = frontier
        for _ in range(_POINTWISE_NODES_MAX):
            latest = max(frontier, key=lambda name: self._index.get(name, -1))
            producer = self._graph.nodes[self._index[latest]] if latest in self._index else None
            if producer is None or producer.operator == "Table" or not self._pointwise(producer):
                break
            frontier = (frontier - {latest}) | self._variables(producer)
            if len(frontier) == 1:
                (root,) = frontier
        return root

    # Normalisations of rows.

    def normalisations(self) -> None:
        """Replace what divides rows by a root of the sum of their squares."""
        for place, node in enumerate(list(self._graph.nodes)):
            exponent = self._graph.constants.get(node.inputs[1]) if node.operator == "Pow" else None
            root_of_sum = exponent is not None and exponent.size == 1 and abs(float(exponent.reshape(-1)[0])) == 0.5
            if self._graph.nodes[place] is node and (node.operator in ("Sqrt", "ReduceL2") or root_of_sum):
                self._normalisation(node)

    def _normalisation(self, node: FloatNode) -> None:
        for root in reversed(self._candidates(node)):
            shape, kind = self._values[root]
            if kind != "f" or len(shape) < 2 or shape[-1] < 2:
                continue
            places = self._closure(root, lambda member: member.operator in _NORMALISING, _NORMALISING_NODES_MAX)
            if self._index[node.outputs[0]] not in places:
                continue
            for place in reversed(places):
                (result,) = self._graph.nodes[place].outputs
                if place <= self._index[node.outputs[0]] or self._values[result] != (shape, "f"):
                    continue
                found = _as_normalisation(self._function(root, places, result), shape)
                if found is not None:
                    self._graph.nodes[place] = self._normalising_node(root, result, node.name, found)
                    return

    def _candidates(self, node: FloatNode) -> list[str]:
        """Tensors on which a node depends and through which alone, nearest first."""
        frontier, found = self._variables(node), []
        for _ in range(16):
            if len(frontier) == 1:
                found.append(next(iter(frontier)))
            latest = max(frontier, key=lambda name: self._index.get(name, -1))
            if latest not in self._index or self._graph.nodes[self._index[latest]].operator not in _NORMALISING:
                break
            frontier = (frontier - {latest}) | self._variables(self._graph.nodes[self._index[latest]])
        return found

    def _normalising_node(
        self, root: str, result: str, name: str, parts: tuple[bool, Array, Array, float]
    ) -> FloatNode:
        center, scale, bias, epsilon = parts
        inputs = [root]
        for hint, value in (("scale", scale), ("bias", bias)):
            constant = self._names.new(f"{result}/{hint}")
            self._graph.constants[constant] = value.astype(np.float32)
            inputs.append(constant)
        operator = "LayerNormalization" if center else "RMSNormalization"
        return FloatNode(
            operator, tuple(inputs if center else inputs[:2]), (result,), {"axis": -1, "epsilon": epsilon}, name
        )


def _in_double(node: FloatNode) -> FloatNode:
    """A node for double precision: casts between floats do nothing."""
    return dataclasses.replace(node, operator="Identity") if node.operator == "Cast" else node


def _double(value: Array) -> Array:
    return value.astype(np.float64) if value.dtype.kind == "f" else value


def _deviation(x: Array, *, center: bool) -> Array:
    return np.asarray(x - x.mean(axis=-1, keepdims=True)) if center else x


def _normalised(deviation: Array, epsilon: float) -> Array:
    return np.asarray(deviation / np.sqrt((deviation * deviation).mean(axis=-1, keepdims=True) + epsilon))


def _as_normalisation(
    function: Callable[[Array], Array], shape: tuple[int, ...]
) -> tuple[bool, Array, Array, float] | None:
    """Whether rows are centred, and scale, bias and epsilon, if a function is a normalisation of rows; else None."""
    width = shape[-1]
    probe = np.random.default_rng(1).standard_normal((4, *shape))
    with np.errstate(all="ignore"):
        bias = np.nan_to_num(function(np.zeros(shape)).reshape(-1, width))
        if not (bias == bias[0]).all():
            return None
        for center in (True, False):
            if not center and bias.any():
                continue
            # Far above any epsilon the result is scale · normalised + bias; least squares over four probes.
            unit = np.concatenate([_normalised(_deviation(x, center=center), 0.0).reshape(-1, width) for x in probe])
            large = np.concatenate([function(x * 1024.0).reshape(-1, width) for x in probe]) - bias[0]
            scale = (large * unit).sum(axis=0) / (unit * unit).sum(axis=0)
            if not np.isfinite(scale).all():
                return None
            small = probe[0] * 1e-3
            epsilon = _epsilon(function(small) - bias[0], _deviation(small, center=center), scale)
            given = function(probe[1] * 0.5)
            expected = _normalised(_deviation(probe[1] * 0.5, center=center), epsilon) * scale + bias[0]
            if np.abs(given - expected).max() <= _TOLERANCE * max(np.abs(expected).max(), 1e-9):
                return center, scale, bias[0], epsilon
    return None


def _epsilon(result: Array, deviation: Array, scale: Array) -> float:
    """What is added to the variance, from rows whose variance is about as small."""
    unit = deviation * scale
    ratio = (result * unit).sum() / (unit * unit).sum()
    epsilon = 1 / ratio**2 - float((deviation * deviation).mean()) if np.isfinite(ratio) and ratio > 0 else 0.0
    # Below this it only keeps a division by zero away.
    return float(epsilon) if epsilon > 1e-9 else 1e-12
