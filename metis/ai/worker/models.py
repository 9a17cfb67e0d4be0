"""Models that a worker serves: what kind each is, how text becomes runs, and what runs mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from metis.ai.file import ModelFile, load
from metis.ai.receipt import units_of_run
from metis.ai.runs import Tensor
from metis.ai.session import Session
from metis.ai.trace import TracedRun
from metis.types import Hash32, InvalidInput, InvalidModelFile, RequestRefused

__all__ = ["Kind", "Runs", "ServedModel", "Stop"]

Kind = Literal["embeddings", "classifications", "completions"]

_IDS: Final = "input_ids"
_MASK: Final = "attention_mask"
_WRITES: Final = frozenset({"token", "place", "seed"})
_SEED_MOST: Final = (1 << 62) - 1

# Asked before each run: whether the task ends here.
Stop = Callable[[], bool]


@dataclasses.dataclass(slots=True)
class Runs:
    """The runs of a task so far, with what they were given."""

    inputs: list[Mapping[str, Tensor]]
    traced: list[TracedRun]


class ServedModel:
    """
    A model under a name.

    Attributes
    ----------
    name : what requests call it; its id is understood too.
    kind : "embeddings" for a model of token ids, "completions" for one of token, place and seed that gives the next
        token, "classifications" for every other with one input of numbers.
    units : of one run.
    """

    def __init__(self, name: str, file: ModelFile, threads: int = 1) -> None:
        self.name = name
        self.file = file
        self.id: Hash32 = file.model.id
        self.session = Session(file, threads)
        cost = self.session.proven.cost
        self.units = units_of_run(cost.macs, cost.moved_bytes)
        names = set(self.session.names)
        self.kind: Kind = "embeddings" if _IDS in names else "completions" if names == _WRITES else "classifications"
        if self.kind == "classifications" and len(names) != 1:
            raise InvalidModelFile(
                name, f"a worker serves models with one input of numbers; this one has {sorted(names)}"
            )
        self._shapes = {tensor.source: tensor.shape for tensor in file.description.inputs}
        self._tokenizer = None if file.tokenizer is None else _tokenizer(file.tokenizer)

    @classmethod
    def open(cls, name: str, path: Path, threads: int = 1) -> ServedModel:
        """Open a model's file; raises :class:`metis.types.InvalidModelFile`."""
        return cls(name, load(path), threads)

    @property
    def context_length(self) -> int:
        """Tokens that fit: of a text, or of prompt and completion together; 0 where there are none."""
        if self.kind == "embeddings":
            return int(self._shapes[_IDS][-1])
        declared = {tensor.name: tensor for tensor in self.file.graph.inputs}
        places = [tensor.name for tensor in self.file.description.inputs if tensor.source == "place"]
        return declared[places[0]].hi + 1 if places else 0

    def tokens_of(self, text: str | Sequence[int]) -> list[int]:
        """
        The tokens of a text, or the tokens themselves.

        Raises
        ------
        RequestRefused : the model reads no text, or the text is longer than its context.
        """
        if not isinstance(text, str):
            tokens = list(text)
        elif self._tokenizer is None:
            raise RequestRefused("input", f"{self.name} has no tokenizer: give token numbers")
        else:
            tokens = self._encoded(text)
        if not tokens:
            raise RequestRefused("input", "it has no tokens")
        if len(tokens) > self.context_length:
            problem = f"{len(tokens)} tokens; the model's context is {self.context_length}"
            raise RequestRefused("context_length_exceeded", problem)
        return tokens

    def text_of(self, tokens: Sequence[int]) -> str:
        """The text of tokens; their numbers where the model has no tokenizer."""
        if self._tokenizer is None:
            return " ".join(map(str, tokens))
        return str(self._tokenizer.decode(list(tokens)))

    def _encoded(self, text: str) -> list[int]:
        assert self._tokenizer is not None  # noqa: S101 - the caller has looked
        try:
            return list(self._tokenizer.encode(text).ids)
        except Exception as error:  # noqa: BLE001 - the library raises nothing narrower for a text that it cannot cut
            raise RequestRefused("input", f"the tokenizer does not take this text: {error}") from None

    def embedding_inputs(self, tokens: Sequence[int]) -> dict[str, Tensor]:
        """One run's inputs for one text."""
        filled = np.zeros(self._shapes[_IDS], np.int64)
        mask = np.zeros_like(filled)
        filled.reshape(-1)[: len(tokens)] = tokens
        mask.reshape(-1)[: len(tokens)] = 1
        given = {_IDS: filled, _MASK: mask}
        return self._integers({name: given.get(name, np.zeros_like(filled)) for name in self.session.names})

    def classification_inputs(self, numbers: Any) -> dict[str, Tensor]:
        """One run's inputs from a list of numbers; raises :class:`metis.types.RequestRefused`."""
        name = self.session.names[0]
        try:
            array = np.asarray(numbers, np.float64)
        except (ValueError, TypeError):
            raise RequestRefused("input", "it is no array of numbers") from None
        if array.size != int(np.prod(self._shapes[name])):
            raise RequestRefused("input", f"{array.size} numbers; the model takes {list(self._shapes[name])}")
        return self._integers({name: array})

    def start(self) -> Runs:
        """No runs yet."""
        return Runs([], [])

    def run(self, runs: Runs, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """One more run of a task; returns what its outputs mean. Raises :class:`metis.types.InvalidInput`."""
        states = runs.traced[-1].run.states if runs.traced and self.file.graph.states else None
        traced = self.session.evaluator.run_traced(inputs, states)
        runs.inputs.append(inputs)
        runs.traced.append(traced)
        return self.session.meanings(traced.run)

    def write(self, runs: Runs, prompt: Sequence[int], count: int, seed: int, stop: Stop, on_token: Any) -> list[int]:
        """
        Read a prompt and write up to ``count`` tokens after it.

        Parameters
        ----------
        stop : asked before each run. on_token : called with each token that is written.
        """
        written: list[int] = []
        token = prompt[0]
        for place in range(len(prompt) + count - 1):
            if stop():
                break
            given = {"token": token, "place": place, "seed": (seed + place) & _SEED_MOST}
            found = self.run(runs, self._integers({name: np.asarray([value]) for name, value in given.items()}))
            if place + 1 < len(prompt):
                token = prompt[place + 1]
            else:
                token = int(np.asarray(found["next"]).reshape(-1)[0])
                written.append(token)
                on_token(token)
        return written

    def _integers(self, given: Mapping[str, Any]) -> dict[str, Tensor]:
        names = {tensor.source: tensor.name for tensor in self.file.description.inputs}
        declared = {tensor.name: tensor for tensor in self.file.graph.inputs}
        arrays: dict[str, Tensor] = {}
        for source, value in given.items():
            tensor = declared[names[source]]
            try:
                integers = self.session.integers(source, value)
            except InvalidInput as error:
                raise RequestRefused("input", error.problem) from None
            if integers.min() < tensor.lo or integers.max() > tensor.hi:
                raise RequestRefused(
                    "input", f"{source} has {integers.min()} to {integers.max()}; {tensor.lo} to {tensor.hi} fit"
                )
            arrays[names[source]] = integers.astype(f"<i{tensor.dtype.size_bytes}")
        return arrays


def _tokenizer(raw: bytes) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(raw)
    # Length is checked, not cut: what is paid for is what was sent.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
