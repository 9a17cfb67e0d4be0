"""
One operator of a run, checked by itself: what leads to a point, from other points.

The nodes of a point's step become a small graph of their own, which the engine proves and runs. A product among them is
not computed but checked: the worker says what its sums are, Freivalds' check says whether they are (docs/receipts.md
has the argument), and the small graph goes on from them.
"""

from __future__ import annotations

import dataclasses
import math
import secrets
from collections.abc import Mapping, Sequence

import numpy as np

from metis.ai.graph import Graph, Model, Weights, encode_graph, validate_graph
from metis.ai.graph.schema import OPERATORS
from metis.ai.graph.types import Declaration, Node, Output, TensorFacts
from metis.ai.trace import Step, points_of, step_of
from metis.engine import InferenceModel, ProductCheck, tensor_commitments
from metis.types import DecodeError, Hash32, InvalidInput, InvalidReceipt

__all__ = ["OperatorCheck"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Program:
    """A part of a graph, ready to run: tensors in, tensors out, by their numbers in the whole graph."""

    handle: InferenceModel
    taken: tuple[int, ...]
    given: tuple[int, ...]

    def run(self, values: Mapping[int, bytes]) -> dict[int, bytes]:
        outputs, _ = self.handle.run([values[number] for number in self.taken])
        return dict(zip(self.given, outputs, strict=True))


@dataclasses.dataclass(frozen=True, slots=True)
class _Product:
    """
    A product on the way to a point.

    Attributes
    ----------
    result, left, right : tensor numbers.
    prepared : the check with a second factor that is a constant; None where it is made for each run.
    """

    result: int
    left: int
    right: int
    is_right_shared: bool
    transpose_right: bool
    sizes: tuple[int, int, int, int]
    prepared: ProductCheck | None


class OperatorCheck:
    """
    The check of one point of a model, made once for all runs.

    It draws the vectors of Freivalds' check, and keeps them to itself: whoever makes a receipt may not learn them.

    Attributes
    ----------
    step : the nodes that lead to the point, and what they read.
    operands : the points among what they read.

    Raises
    ------
    InvalidInput : the tensor is no point of the model's graph.
    """

    def __init__(self, model: Model, point: int) -> None:
        proven = validate_graph(model.graph)
        self._graph, self._tensors = model.graph, proven.tensors
        self.points = points_of(proven)
        self.step: Step = step_of(self._graph, self.points, point)
        constants = range(self._graph.first_constant, len(self._graph.declarations))
        self.operands = tuple(number for number in self.step.operands if number not in constants)
        self._constants = {
            number: value
            for number, value in zip(constants, model.weights.values(self._graph), strict=True)
            if number in self.step.operands
        }
        self._firsts = _first_results(self._graph)
        self._products = [self._product(node) for node in self.step.products if self._is_checkable(node)]
        results = tuple(product.result for product in self._products)
        self._whole = self._program(self.step.nodes, (), tuple(dict.fromkeys((point, *results))))
        rest = [node for node in self.step.nodes if self._firsts[node] not in results]
        factors = [number for product in self._products for number in (product.left, product.right)]
        computed = [number for number in factors if number not in self.step.operands and number not in results]
        self._checked = self._program(rest, results, tuple(dict.fromkeys((point, *computed))))

    def witness(self, operands: Mapping[int, bytes]) -> dict[int, bytes]:
        """What the products on the way to the point are, by tensor number: what a check needs beside the operands."""
        found = self._whole.run(operands)
        return {product.result: found[product.result] for product in self._products}

    def result(self, operands: Mapping[int, bytes], products: Mapping[int, bytes]) -> bytes:
        """
        The point's elements.

        Parameters
        ----------
        operands : the elements of :attr:`operands`.
        products : what the products are said to be; empty to compute them.

        Raises
        ------
        InvalidReceipt : one is not a product, or an operand is not in its range; the field is "operator".
        """
        try:
            if not products:
                return self._whole.run(operands)[self.step.point]
            if set(products) != {product.result for product in self._products}:
                raise InvalidReceipt("opening", f"the operator's products are {[p.result for p in self._products]}")
            # What lies outside its proven range is refused by the engine before it computes.
            known = {**operands, **products}
            known.update(self._checked.run(known))
            for product in self._products:
                if not self._holds(product, known):
                    raise InvalidReceipt("operator", f"tensor {product.result} is not the product of its factors")
            return known[self.step.point]
        except InvalidInput as error:
            raise InvalidReceipt("operator", f"{error.name}: {error.problem}") from None
        except DecodeError as error:
            raise InvalidReceipt("operator", f"{error.field}: {error.problem}") from None

    def commitment(self, operands: Mapping[int, bytes], products: Mapping[int, bytes]) -> Hash32:
        """The commitment of :meth:`result`; raises as it does."""
        return self.commitments({self.step.point: self.result(operands, products)})[0]

    def commitments(self, elements: Mapping[int, bytes]) -> list[Hash32]:
        """The commitments of tensors from their elements; other lengths raise :class:`metis.types.InvalidReceipt`."""
        given = [
            (int(self._facts(number).dtype), list(self._facts(number).shape), raw) for number, raw in elements.items()
        ]
        try:
            return [Hash32(found) for found in tensor_commitments(given)]
        except DecodeError as error:
            raise InvalidReceipt("operator", f"an operand has {error.problem}") from None

    def _facts(self, number: int) -> TensorFacts:
        return self._tensors[number]

    def _is_checkable(self, node: int) -> bool:
        """Whether a product can be checked instead of computed: within the bound of the check's argument."""
        if self._graph.nodes[node].operator != "matmul":
            return False
        left, right = (self._facts(number) for number in self._graph.nodes[node].inputs)
        return left.shape[-1] * left.magnitude * right.magnitude < 1 << 60

    def _product(self, node: int) -> _Product:
        left, right = self._graph.nodes[node].inputs
        rows, factor = self._facts(left).shape, self._facts(right).shape
        is_shared, transposed = len(factor) == 2, bool(self._graph.nodes[node].attributes[0])
        batch = 1 if is_shared else math.prod(rows[:-2])
        columns = factor[-2] if transposed else factor[-1]
        sizes = (batch, math.prod(rows[:-1]) // batch, rows[-1], columns)
        product = _Product(self._firsts[node], left, right, is_shared, transposed, sizes, None)
        if right not in self._constants:
            return product
        return dataclasses.replace(product, prepared=self._check(product, self._constants[right].tobytes()))

    def _check(self, product: _Product, right: bytes) -> ProductCheck:
        random = secrets.token_bytes(8 * product.sizes[3])
        factor = (int(self._facts(product.right).dtype), right)
        return ProductCheck(factor, product.sizes, product.is_right_shared, product.transpose_right, random)

    def _holds(self, product: _Product, known: Mapping[int, bytes]) -> bool:
        check = product.prepared or self._check(product, known[product.right])
        left, result = self._facts(product.left), self._facts(product.result)
        claimed = (int(result.dtype), known[product.result])
        return check.holds((int(left.dtype), self._elements(product.left, known)), claimed)

    def _elements(self, number: int, values: Mapping[int, bytes]) -> bytes:
        constant = self._constants.get(number)
        return values[number] if constant is None else constant.tobytes()

    def _program(self, nodes: Sequence[int], supplied: tuple[int, ...], wanted: Sequence[int]) -> _Program:
        taken = (*self.operands, *supplied)
        constants = tuple(self._constants)
        places = {number: place for place, number in enumerate((*taken, *constants))}
        kept = []
        count = len(places)
        for index in nodes:
            node = self._graph.nodes[index]
            kept.append(Node(node.operator, tuple(places[number] for number in node.inputs), node.attributes))
            for result in range(OPERATORS[node.operator].output_count):
                places[self._firsts[index] + result] = count
                count += 1
        part = Graph(
            tuple(_declaration(f"t{number}", self._facts(number)) for number in taken),
            tuple(_declaration("", self._facts(number)) for number in constants),
            tuple(kept),
            tuple(Output(f"t{number}", places[number]) for number in wanted),
        )
        weights = Weights.of(part, [np.asarray(self._constants[number]) for number in constants])
        return _Program(InferenceModel.from_bytes(encode_graph(part), weights.raw), taken, tuple(wanted))


def _declaration(name: str, facts: TensorFacts) -> Declaration:
    return Declaration(name, facts.dtype, facts.shape, facts.lo, facts.hi)


def _first_results(graph: Graph) -> list[int]:
    firsts, number = [], len(graph.declarations)
    for node in graph.nodes:
        firsts.append(number)
        number += OPERATORS[node.operator].output_count
    return firsts
