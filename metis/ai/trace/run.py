"""Runs with their traces."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from metis.ai.graph.types import DType
from metis.ai.graph.weights import NUMPY_TYPES
from metis.ai.runs import Run, Tensor
from metis.ai.trace.digest import Trace, commitment_of
from metis.ai.trace.points import points_of

if TYPE_CHECKING:
    from metis.ai.reference import ReferenceEvaluator

__all__ = ["TracedRun", "observed_trace"]


@dataclasses.dataclass(frozen=True, slots=True)
class TracedRun:
    """
    A run and what it commits to.

    Attributes
    ----------
    values : of the points that were asked for, by tensor number.
    """

    run: Run
    trace: Trace
    values: Mapping[int, Tensor]


def observed_trace(
    evaluator: ReferenceEvaluator,
    inputs: Mapping[str, npt.ArrayLike],
    states: Mapping[str, npt.ArrayLike] | None = None,
) -> TracedRun:
    """
    Run the reference evaluator and commit to its points, plainly: what every other trace must equal.

    Raises
    ------
    InvalidInput : an input or a state is missing, unknown, or not what the graph declares.
    """
    proven = evaluator.proven
    points = points_of(proven)
    wanted = frozenset(points)
    values: dict[int, Tensor] = {}

    def observe(number: int, value: npt.NDArray[Any]) -> None:
        if number in wanted:
            values[number] = value.astype(NUMPY_TYPES[DType(proven.tensors[number].dtype)])

    run = evaluator.run(inputs, states, observe)
    return TracedRun(run, Trace(points, tuple(commitment_of(values[number]) for number in points)), values)
