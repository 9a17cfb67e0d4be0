"""Running a model in the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metis.ai.graph import Declaration, DType, Graph, Limits, Model, ProvenGraph, encode_graph, validate_graph
from metis.ai.graph.weights import NUMPY_TYPES
from metis.ai.runs import Run, Tensor, taken
from metis.ai.trace import Trace, TracedRun
from metis.engine import InferenceModel, inference_kernels
from metis.types import Hash32

__all__ = ["Evaluator"]


class Evaluator:
    """
    A model, proven and with its weights checked, ready to run on the engine's kernels. Threads may share one.

    Attributes
    ----------
    proven : shapes, bounds and cost.
    kernel, threads : how runs are computed when they do not say. The result does not depend on it.

    Raises
    ------
    InvalidGraph : the graph is not valid, or costs more than ``limits`` allow.
    InvalidWeights : the weights do not fit the graph.
    """

    def __init__(
        self, model: Model, limits: Limits | None = None, *, kernel: str | None = None, threads: int = 1
    ) -> None:
        handle = InferenceModel.from_bytes(encode_graph(model.graph), model.weights.raw, _limit_values(limits))
        self._set(model.graph, handle, limits, kernel, threads)

    @classmethod
    def open(
        cls,
        graph: Graph,
        path: Path,
        offset: int,
        length: int,
        limits: Limits | None = None,
        *,
        kernel: str | None = None,
        threads: int = 1,
    ) -> Evaluator:
        """
        A model whose weights are a part of a file, read into memory: what happens to the file later changes nothing.

        Parameters
        ----------
        offset, length : the part, in bytes.

        Raises
        ------
        InvalidGraph, InvalidWeights : as for the constructor. OSError : the file cannot be read.
        """
        evaluator = cls.__new__(cls)
        handle = InferenceModel.open(encode_graph(graph), path, offset, length, _limit_values(limits))
        evaluator._set(graph, handle, limits, kernel, threads)
        return evaluator

    @staticmethod
    def kernels() -> list[str]:
        """Names of the kernels that this machine has, the fastest last."""
        return inference_kernels()

    def _set(
        self, graph: Graph, handle: InferenceModel, limits: Limits | None, kernel: str | None, threads: int
    ) -> None:
        self.proven: ProvenGraph = validate_graph(graph, limits)
        self.kernel = kernel
        self.threads = threads
        self._handle = handle

    def run(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        states: Mapping[str, npt.ArrayLike] | None = None,
        observe: Callable[[int, Tensor], None] | None = None,
    ) -> Run:
        """
        Evaluate the graph once.

        Parameters
        ----------
        inputs : each declared input by name, as integers of its shape and range.
        states : what the run before gave, or None for the first one, when all states are zero.
        observe : called with the number and value of each result of a node, in order; such a run computes every
            operator alone, on one thread.

        Raises
        ------
        InvalidInput : an input or a state is missing, unknown, or not what the graph declares.
        """
        graph = self.proven.graph
        given = self._given(inputs, states)
        if observe is None:
            outputs, updates = self._handle.run(given, self.threads, self.kernel)
        else:
            number = len(graph.declarations)

            def results(_: int, values: list[bytes]) -> None:
                nonlocal number
                for value in values:
                    observe(number, self._array(number, value))
                    number += 1

            outputs, updates = self._handle.run_observed(given, results, self.kernel)
        return self._run(outputs, updates)

    def run_traced(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        states: Mapping[str, npt.ArrayLike] | None = None,
        wanted: Sequence[int] = (),
    ) -> TracedRun:
        """
        Evaluate the graph once, and commit to what the run computed (docs/receipts.md).

        Parameters
        ----------
        wanted : numbers of points whose values are given back too.

        Raises
        ------
        InvalidInput : as for :meth:`run`. DecodeError : one of ``wanted`` is no point.
        """
        given = self._given(inputs, states)
        results, commitments, values = self._handle.run_traced(given, self.threads, self.kernel, list(wanted))
        trace = Trace(tuple(self._handle.points), tuple(Hash32(commitment) for commitment in commitments))
        arrays = {number: self._array(number, raw) for number, raw in zip(wanted, values, strict=True)}
        return TracedRun(self._run(*results), trace, arrays)

    def _given(
        self, inputs: Mapping[str, npt.ArrayLike], states: Mapping[str, npt.ArrayLike] | None
    ) -> list[bytes | None]:
        graph = self.proven.graph
        given: list[bytes | None] = [*_bytes("inputs", graph.inputs, inputs)]
        return given + ([None] * len(graph.states) if states is None else _bytes("states", graph.states, states))

    def _run(self, outputs: Sequence[bytes], updates: Sequence[bytes]) -> Run:
        graph = self.proven.graph
        return Run(
            {output.name: self._array(output.tensor, raw) for output, raw in zip(graph.outputs, outputs, strict=True)},
            {
                state.name: self._array(number, raw)
                for state, number, raw in zip(graph.states, graph.updates, updates, strict=True)
            },
        )

    def _array(self, number: int, raw: bytes) -> Tensor:
        facts = self.proven.tensors[number]
        return np.frombuffer(raw, NUMPY_TYPES[DType(facts.dtype)]).reshape(facts.shape)


def _bytes(what: str, declared: tuple[Declaration, ...], given: Mapping[str, npt.ArrayLike]) -> list[bytes]:
    values = taken(what, declared, given)
    return [value.astype(NUMPY_TYPES[tensor.dtype]).tobytes() for tensor, value in zip(declared, values, strict=True)]


def _limit_values(limits: Limits | None) -> tuple[int, int, int]:
    limits = limits or Limits()
    return limits.weights_bytes, limits.memory_bytes, limits.macs
