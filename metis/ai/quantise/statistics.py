"""Calibration: what values each tensor of a float graph takes on samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from metis.ai.quantise.execution import run_float, zero_states
from metis.ai.quantise.graph import Array, FloatGraph
from metis.types import InvalidModelFile

__all__ = ["MASKED", "TensorStatistics", "calibrate"]

# Scores below this are masks: exporters add -10,000 or the least float to what softmax shall not see.
MASKED: Final = -1000.0


@dataclasses.dataclass(slots=True)
class TensorStatistics:
    """
    What was seen of one tensor over all samples.

    Attributes
    ----------
    kind : numpy's letter of its type: "f" float, "i" or "u" integer, "b" boolean.
    lo, hi : least and greatest value, infinite and masked ones left out.
    mask : each value was either 0 or below :data:`MASKED`, and one was.
    """

    shape: tuple[int, ...]
    kind: str
    lo: float = 0.0
    hi: float = 0.0
    mask: bool = True
    masked: bool = False
    seen: bool = False

    @property
    def magnitude(self) -> float:
        """The greatest absolute value."""
        return max(abs(self.lo), abs(self.hi))

    @property
    def rank(self) -> int:
        """Dimensions of the integer tensor: a scalar becomes one of a single element."""
        return max(1, len(self.shape))

    def add(self, value: Array) -> None:
        """Take one sample's value into account."""
        if self.kind == "f":
            hidden = value < MASKED
            if hidden.any():
                self.masked = True
                self.mask = self.mask and bool(((value == 0) | hidden).all())
                value = value[~(value < -1e30)]
            elif self.mask:
                self.mask = not value.any()
            if not np.isfinite(value).all():
                value = value[np.isfinite(value)]
        if value.size:
            lo, hi = float(value.min()), float(value.max())
            self.lo, self.hi = (min(self.lo, lo), max(self.hi, hi)) if self.seen else (lo, hi)
            self.seen = True


def calibrate(graph: FloatGraph, samples: Iterable[Mapping[str, Array]]) -> dict[str, TensorStatistics]:
    """
    Run a float graph over samples.

    A sample with the key ``""`` begins a new sequence: states are zero again before it. Without states each sample
    stands alone.

    Raises
    ------
    InvalidModelFile : there are no samples, or the model gives no finite value for them.
    """
    statistics: dict[str, TensorStatistics] = {}

    def observe(name: str, value: Array) -> None:
        if name not in statistics:
            statistics[name] = TensorStatistics(value.shape, np.asarray(value).dtype.kind)
        statistics[name].add(np.asarray(value))

    for name, value in graph.constants.items():
        observe(name, value)
    count, states = 0, zero_states(graph)
    for sample in samples:
        if "" in sample:
            states = zero_states(graph)
        results = run_float(graph, {**states, **sample}, observe)
        states = {state.name: results[tensor] for state, tensor in graph.states}
        count += 1
    if not count:
        raise InvalidModelFile("calibration", "it has no samples")
    for name in graph.outputs:
        if name in statistics and not statistics[name].seen:
            raise InvalidModelFile("calibration", f"the float model's output {name!r} is never finite")
    merged: dict[str, TensorStatistics] = {}
    for name, key in graph.groups.items():
        if name in statistics and statistics[name].seen:
            known = merged.setdefault(key, statistics[name])
            known.lo, known.hi = min(known.lo, statistics[name].lo), max(known.hi, statistics[name].hi)
    for name, key in graph.groups.items():
        if name in statistics and key in merged:
            statistics[name].lo, statistics[name].hi = merged[key].lo, merged[key].hi
    return statistics
