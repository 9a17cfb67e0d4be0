"""Making a graph node by node, each proven when it is added, so that a mistake is found where it is made."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metis.ai.graph.model import Model
from metis.ai.graph.schema import OPERATORS
from metis.ai.graph.structure import check_declaration, check_node
from metis.ai.graph.types import AttributeValue, Declaration, DType, Graph, Node, Output, TensorFacts
from metis.ai.graph.validation import facts_of, results_of
from metis.ai.graph.weights import Weights
from metis.types import Hash32, InvalidGraph

__all__ = ["GraphBuilder"]


class GraphBuilder:
    """
    Collects declarations and nodes; :meth:`model` gives the finished model.

    Tensors are known by handles, integers of this builder: the numbers in the graph are given at the end, for
    constants may be added at any time.

    Examples
    --------
    >>> from metis.ai.graph import DType, GraphBuilder
    >>> builder = GraphBuilder()
    >>> x = builder.input("x", DType.INT8, (1, 2), -100, 100)
    >>> weights = builder.constant(DType.INT8, [[3, -4]])
    >>> y = builder.node("matmul", x, weights, transpose_b=1, accumulator=DType.INT32)
    >>> builder.facts(y).hi
    800
    """

    def __init__(self) -> None:
        self._facts: list[TensorFacts] = []
        self._inputs: dict[int, Declaration] = {}
        self._states: dict[int, Declaration] = {}
        self._updates: dict[int, int] = {}
        self._constants: dict[int, tuple[Declaration, npt.NDArray[np.int64]]] = {}
        self._nodes: list[Node] = []
        self._results: list[int] = []
        self._outputs: list[Output] = []

    def input(
        self, name: str, dtype: DType, shape: tuple[int, ...], lo: int | None = None, hi: int | None = None
    ) -> int:
        """Declare an input, by default of its type's whole range; raises :class:`metis.types.InvalidGraph`."""
        return self._declare(self._inputs, name, dtype, shape, lo, hi)

    def state(
        self, name: str, dtype: DType, shape: tuple[int, ...], lo: int | None = None, hi: int | None = None
    ) -> int:
        """Declare a state, which :meth:`update` must be called for; raises :class:`metis.types.InvalidGraph`."""
        return self._declare(self._states, name, dtype, shape, lo, hi)

    def update(self, state: int, tensor: int) -> None:
        """Say what a state becomes after a run."""
        self._updates[state] = tensor

    def constant(self, dtype: DType, values: npt.ArrayLike, lo: int | None = None, hi: int | None = None) -> int:
        """Add a constant, by default with its values' own range; raises :class:`metis.types.InvalidGraph`."""
        given = np.asarray(values)
        if given.dtype.kind != "i" or not given.size:
            raise InvalidGraph(f"constants[{len(self._constants)}]", f"{given.dtype} {given.shape} are no integers")
        array = given.astype(np.int64)
        bounds = (int(array.min()) if lo is None else lo, int(array.max()) if hi is None else hi)
        tensor = Declaration("", dtype, array.shape, *bounds)
        check_declaration(f"constants[{len(self._constants)}]", tensor)
        handle = self._add(facts_of(tensor))
        self._constants[handle] = (tensor, array)
        return handle

    def node(self, operator: str, *inputs: int, **attributes: AttributeValue) -> int:
        """The handle of an operator's first result; see :meth:`nodes`."""
        return self.nodes(operator, *inputs, **attributes)[0]

    def nodes(self, operator: str, *inputs: int, **attributes: AttributeValue) -> tuple[int, ...]:
        """
        Add an operator and prove it.

        Raises
        ------
        InvalidGraph : the operator is not known, does not take these operands, or may overflow.
        """
        field = f"nodes[{len(self._nodes)}]"
        known = OPERATORS.get(operator)
        names = [attribute.name for attribute in known.attributes] if known else []
        if known and set(names) != set(attributes):
            raise InvalidGraph(field, f"{operator} has the attributes {names}")
        node = Node(operator, inputs, tuple(attributes[name] for name in names))
        check_node(field, node, len(self._facts))
        handles = tuple(self._add(facts) for facts in results_of(field, node, self._facts))
        self._nodes.append(node)
        self._results += handles
        return handles

    def output(self, name: str, tensor: int) -> None:
        """Give a tensor back under a name."""
        self._outputs.append(Output(name, tensor))

    def facts(self, tensor: int) -> TensorFacts:
        """What is proven of a tensor so far."""
        return self._facts[tensor]

    def graph(self) -> Graph:
        """The graph; :func:`metis.ai.graph.validate_graph` proves it as a whole."""
        order = [*self._inputs, *self._states, *self._constants, *self._results]
        number = {handle: place for place, handle in enumerate(order)}
        missing = [state.name for handle, state in self._states.items() if handle not in self._updates]
        if missing:
            raise InvalidGraph("updates", f"states without an update: {missing}")
        return Graph(
            inputs=tuple(self._inputs.values()),
            constants=tuple(tensor for tensor, _ in self._constants.values()),
            nodes=tuple(
                Node(node.operator, tuple(number[handle] for handle in node.inputs), node.attributes)
                for node in self._nodes
            ),
            outputs=tuple(Output(output.name, number[output.tensor]) for output in self._outputs),
            states=tuple(self._states.values()),
            updates=tuple(number[self._updates[handle]] for handle in self._states),
        )

    def model(self, tokenizer_hash: Hash32 | None = None) -> Model:
        """The graph with its weights; raises :class:`metis.types.InvalidWeights` where a value leaves its range."""
        graph = self.graph()
        return Model(graph, Weights.of(graph, [values for _, values in self._constants.values()]), tokenizer_hash)

    def _add(self, facts: TensorFacts) -> int:
        self._facts.append(facts)
        return len(self._facts) - 1

    def _declare(
        self,
        kind: dict[int, Declaration],
        name: str,
        dtype: DType,
        shape: tuple[int, ...],
        lo: int | None,
        hi: int | None,
    ) -> int:
        tensor = Declaration(name, dtype, shape, dtype.lo if lo is None else lo, dtype.hi if hi is None else hi)
        check_declaration(name, tensor)
        handle = self._add(facts_of(tensor))
        kind[handle] = tensor
        return handle
