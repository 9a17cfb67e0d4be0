"""Running a model with what people have: floats in, floats out, many samples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np

from metis.ai.engine import Evaluator
from metis.ai.file import ModelFile, TensorDescription
from metis.ai.graph import ProvenGraph
from metis.ai.runs import Run, Tensor
from metis.ai.samples import Array, joined, samples_of
from metis.engine import keccak256
from metis.types import Hash32, InvalidInput

__all__ = ["Results", "Session"]

_RUNS: Final = b"metis/ai/runs/v1\x00"


@dataclasses.dataclass(frozen=True, slots=True)
class Results:
    """
    What all samples gave.

    Attributes
    ----------
    outputs : by the source's names, all samples together, floats where the source has them.
    hashes : of each run's integers.
    """

    outputs: Mapping[str, Array]
    hashes: tuple[Hash32, ...]

    @property
    def hash(self) -> Hash32:
        """That of the only run, or one over those of all."""
        return self.hashes[0] if len(self.hashes) == 1 else keccak256(_RUNS + b"".join(self.hashes))


class Session:
    """
    A model ready to run on floats.

    Attributes
    ----------
    proven : shapes, bounds and cost. evaluator : what runs the integers.
    """

    def __init__(self, file: ModelFile, threads: int = 1) -> None:
        self._file = file
        if file.path is None:
            self.evaluator = Evaluator(file.model, threads=threads)
        else:
            place = (file.path, file.weights_offset, file.weights_length)
            self.evaluator = Evaluator.open(file.graph, *place, threads=threads)
        self.proven: ProvenGraph = self.evaluator.proven

    @property
    def names(self) -> list[str]:
        """The inputs as the source calls them."""
        return [tensor.source for tensor in self._file.description.inputs]

    def integers(self, name: str, value: Array) -> Array:
        """One run's input as the graph takes it; what leaves its range saturates."""
        place = self.names.index(name)
        described, declared = self._file.description.inputs[place], self._file.graph.inputs[place]
        array = np.asarray(value)
        if described.kind == "float":
            if not np.isfinite(array).all():
                raise InvalidInput(name, "it has values that are not finite")
            array = np.clip(np.round(array.astype(np.float64) / described.scale), declared.lo, declared.hi)
        elif array.dtype.kind == "f" and (array % 1).any():
            raise InvalidInput(name, "it takes whole numbers")
        return array.astype(np.int64).reshape(declared.shape)

    def call_input(self, sample: Mapping[str, Array]) -> bytes:
        """
        One run's inputs as a contract gives them to ``infer`` (docs/inference.md).

        Raises
        ------
        InvalidInput : one is missing, or has values that it cannot take.
        """
        raw = bytearray()
        for name, declared in zip(self.names, self._file.graph.inputs, strict=True):
            if name not in sample:
                raise InvalidInput(name, "it is missing")
            raw += self.integers(name, sample[name]).astype(f"<i{declared.dtype.size_bytes}").tobytes()
        return bytes(raw)

    def run(self, arrays: Mapping[str, Array]) -> Results:
        """
        Run every sample; a model with states goes on from one to the next.

        Raises
        ------
        InvalidModelFile : the arrays do not fit the inputs. InvalidInput : an integer is out of its range.
        """
        described = {tensor.source: tensor for tensor in self._file.description.inputs}
        samples = samples_of(arrays, {name: tensor.shape for name, tensor in described.items()})
        runs, hashes = [], []
        for run in self._runs(samples):
            hashes.append(run.output_hash)
            runs.append(self.meanings(run))
        first = next(iter(described.values()))
        whole = not first.shape or np.asarray(arrays[first.source]).ndim > len(first.shape)
        batch = None if whole else first.shape[0]
        return Results({name: joined([run[name] for run in runs], batch) for name in runs[0]}, tuple(hashes))

    def run_each(self, samples: Iterable[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """The outputs of each sample by themselves; a model with states goes on from one to the next."""
        return [self.meanings(run) for run in self._runs(samples)]

    def step(
        self, sample: Mapping[str, Array], states: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, Array], Mapping[str, Tensor]]:
        """One run, and the states for the next; None begins anew. Raises :class:`metis.types.InvalidInput`."""
        names = {tensor.source: tensor.name for tensor in self._file.description.inputs}
        run = self.evaluator.run({names[name]: self.integers(name, value) for name, value in sample.items()}, states)
        return self.meanings(run), run.states

    def _runs(self, samples: Iterable[Mapping[str, Array]]) -> Iterator[Run]:
        names = {tensor.source: tensor.name for tensor in self._file.description.inputs}
        states: Mapping[str, Tensor] | None = None
        for sample in samples:
            run = self.evaluator.run(
                {names[name]: self.integers(name, value) for name, value in sample.items()}, states
            )
            states = run.states if self._file.graph.states else None
            yield run

    def meanings(self, run: Run) -> dict[str, Array]:
        """The outputs of a run as the source calls them, floats where the source has them."""
        return {tensor.source: _meaning(tensor, run.outputs[tensor.name]) for tensor in self._file.description.outputs}


def _meaning(tensor: TensorDescription, value: Tensor) -> Array:
    """What an output's integers mean."""
    shaped = value.reshape(tensor.shape) if math.prod(tensor.shape) == value.size else value
    if tensor.kind == "integer":
        return shaped.astype(np.int64)
    return np.asarray(shaped.astype(np.float64) * tensor.scale, np.float32)
