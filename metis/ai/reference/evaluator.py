"""Running a model node by node, exactly and plainly."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from metis.ai.graph import Limits, Model, ProvenGraph, attributes_of, validate_graph
from metis.ai.graph.rule import Attributes
from metis.ai.graph.types import DType
from metis.ai.graph.weights import NUMPY_TYPES
from metis.ai.reference.arithmetic import Array
from metis.ai.reference.kernels_linear import KERNELS_LINEAR, KERNELS_SHAPE
from metis.ai.reference.kernels_rows import KERNELS_ELEMENTWISE, KERNELS_ROWS
from metis.ai.runs import Run, Tensor, taken

__all__ = ["ReferenceEvaluator"]

_KERNELS = {**KERNELS_LINEAR, **KERNELS_SHAPE, **KERNELS_ELEMENTWISE, **KERNELS_ROWS}


class ReferenceEvaluator:
    """
    A model, proven and with its weights checked, ready to run.

    Attributes
    ----------
    proven : shapes, bounds and cost.

    Raises
    ------
    InvalidGraph : the graph is not valid, or costs more than ``limits`` allow.
    InvalidWeights : the weights do not fit the graph.
    """

    def __init__(self, model: Model, limits: Limits | None = None) -> None:
        self.proven: ProvenGraph = validate_graph(model.graph, limits)
        self._constants = [value.astype(np.int64) for value in model.weights.values(model.graph)]

    def run(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        states: Mapping[str, npt.ArrayLike] | None = None,
        observe: Callable[[int, Array], None] | None = None,
    ) -> Run:
        """
        Evaluate the graph once.

        Parameters
        ----------
        inputs : each declared input by name, as integers of its shape and range.
        states : what the run before gave, or None for the first one, when all states are zero.
        observe : called with the number and value of each tensor as soon as it is there.

        Raises
        ------
        InvalidInput : an input or a state is missing, unknown, or not what the graph declares.
        """
        graph = self.proven.graph
        if states is None:
            states = {state.name: np.zeros(state.shape, np.int64) for state in graph.states}
        tensors = taken("inputs", graph.inputs, inputs) + taken("states", graph.states, states) + self._constants
        if observe:
            for number, value in enumerate(tensors):
                observe(number, value)
        for node in graph.nodes:
            operands = [tensors[number] for number in node.inputs]
            for value in _KERNELS[node.operator](operands, Attributes(attributes_of(node))):
                if observe:
                    observe(len(tensors), value)
                tensors.append(value)
        return Run(
            {output.name: self._given(tensors[output.tensor], output.tensor) for output in graph.outputs},
            {
                state.name: self._given(tensors[number], number)
                for state, number in zip(graph.states, graph.updates, strict=True)
            },
        )

    def _given(self, value: Array, number: int) -> Tensor:
        return value.astype(NUMPY_TYPES[DType(self.proven.tensors[number].dtype)])
