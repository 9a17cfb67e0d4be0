"""How far an integer model is from the float model that it was made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from metis.ai.file import ModelFile
from metis.ai.quantise.execution import run_float, zero_states
from metis.ai.quantise.graph import Array, FloatGraph
from metis.ai.session import Session

__all__ = ["Accuracy", "OutputAccuracy", "compare"]

_LEAST_LENGTH: Final = 1e-12


@dataclasses.dataclass(frozen=True, slots=True)
class OutputAccuracy:
    """
    One output over all samples.

    Attributes
    ----------
    cosine_mean, cosine_min : of the angle between the two results of a sample, as flat vectors.
    max_error : the greatest difference of two elements. range : the float model's greatest absolute value.
    top1_agreement : the share of rows whose greatest element is in the same place, or None for rows of one; of
        integers the share of equal elements.
    """

    name: str
    cosine_mean: float
    cosine_min: float
    max_error: float
    range: float
    top1_agreement: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Accuracy:
    """All outputs; ``samples`` says how many runs were compared."""

    samples: int
    outputs: tuple[OutputAccuracy, ...]


def compare(graph: FloatGraph, file: ModelFile, samples: Sequence[Mapping[str, Array]]) -> Accuracy:
    """Run both models on samples. Of a model with states all samples are one sequence."""
    session = Session(file)
    floats: dict[str, list[Array]] = {name: [] for name in graph.outputs}
    states = zero_states(graph)
    for sample in samples:
        results = run_float(graph, {**states, **sample})
        states = {state.name: results[tensor] for state, tensor in graph.states}
        for name in graph.outputs:
            floats[name].append(np.asarray(results[name]))
    integers = session.run_each(samples)
    return Accuracy(
        len(samples), tuple(_compared(name, floats[name], [run[name] for run in integers]) for name in graph.outputs)
    )


def _compared(name: str, expected: Sequence[Array], given: Sequence[Array]) -> OutputAccuracy:
    if expected[0].dtype.kind != "f":
        equal = [float((a == b.reshape(a.shape)).mean()) for a, b in zip(expected, given, strict=True)]
        error = max(
            float(np.abs(a.astype(np.int64) - b.reshape(a.shape)).max()) for a, b in zip(expected, given, strict=True)
        )
        greatest = max(float(np.abs(a.astype(np.int64)).max()) for a in expected)
        return OutputAccuracy(name, float(np.mean(equal)), min(equal), error, greatest, float(np.mean(equal)))
    cosines, errors, agreements, ranges = [], [], [], []
    for a, b in zip(expected, given, strict=True):
        x, y = a.astype(np.float64).reshape(-1), b.astype(np.float64).reshape(-1)
        finite = np.isfinite(x)
        x, y = x[finite], y[finite]
        length = float(np.linalg.norm(x) * np.linalg.norm(y))
        cosines.append(float(x @ y) / length if length > _LEAST_LENGTH else float(np.abs(x - y).max(initial=0) < 1e-6))
        errors.append(float(np.abs(x - y).max(initial=0)))
        ranges.append(float(np.abs(x).max(initial=0)))
        if a.ndim and a.shape[-1] > 1:
            agreements.append(float((a.argmax(axis=-1) == b.reshape(a.shape).argmax(axis=-1)).mean()))
    agreement = float(np.mean(agreements)) if agreements else None
    return OutputAccuracy(name, float(np.mean(cosines)), min(cosines), max(errors), max(ranges), agreement)
