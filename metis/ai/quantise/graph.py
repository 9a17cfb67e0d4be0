"""A float model as nodes with ONNX's operator names: what importers give and everything else here works on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from metis.types import UnsupportedModel

__all__ = ["Array", "FloatGraph", "FloatInput", "FloatNode", "Names", "refused_by", "scalar_of"]

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, slots=True)
class FloatInput:
    """
    A tensor that a run is given.

    Attributes
    ----------
    shape : sizes; a name, or None, where the model leaves one open.
    dtype : numpy's name, such as "float32" or "int64".
    """

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of an input that has no open size."""
        return tuple(size for size in self.shape if isinstance(size, int))


@dataclasses.dataclass(frozen=True, slots=True)
class FloatNode:
    """
    One operator, named and defined as in ONNX (the version of the model's operator set that is newest to us).

    Attributes
    ----------
    inputs : names of tensors; "" where an optional one is left out.
    name : what the model calls it, for messages.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    name: str = ""

    def unsupported(self, problem: str) -> UnsupportedModel:
        """The error that names this node."""
        return UnsupportedModel(self.operator, self.name or (self.outputs[0] if self.outputs else ""), problem)


@dataclasses.dataclass(slots=True)
class FloatGraph:
    """
    A float model.

    Attributes
    ----------
    states : pairs of an input that a run takes from the run before, and the tensor that it becomes; zero at first.
    opset : version of ONNX's operators that the nodes mean.
    groups : tensors that are to have one scale, such as a recurrent layer's at all times: a key for each.
    """

    inputs: list[FloatInput]
    constants: dict[str, Array]
    nodes: list[FloatNode]
    outputs: list[str]
    states: list[tuple[FloatInput, str]] = dataclasses.field(default_factory=list)
    opset: int = 21
    groups: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def given(self) -> Iterator[FloatInput]:
        """Inputs and states."""
        yield from self.inputs
        yield from (state for state, _ in self.states)

    def producers(self) -> dict[str, FloatNode]:
        """The node that makes each tensor."""
        return {output: node for node in self.nodes for output in node.outputs if output}

    def uses(self) -> dict[str, int]:
        """How often each tensor is read, by nodes, outputs and states."""
        counts: dict[str, int] = {}
        wanted = [*self.outputs, *(tensor for _, tensor in self.states)]
        for name in (*(name for node in self.nodes for name in node.inputs), *wanted):
            counts[name] = counts.get(name, 0) + 1
        return counts

    def captured(self) -> set[str]:
        """What is read and not made here, of a graph that is a branch."""
        made = {*self.constants, *(output for node in self.nodes for output in node.outputs)}
        return {name for name in (*self.outputs, *(name for n in self.nodes for name in n.inputs)) if name} - made

    def prune(self) -> None:
        """Drop nodes and constants that no output and no state depends on."""
        needed = {*self.outputs, *(tensor for _, tensor in self.states)}
        kept = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
        self.nodes = kept[::-1]
        self.constants = {name: value for name, value in self.constants.items() if name in needed}


class Names:
    """Fresh names for tensors that a rewrite adds."""

    def __init__(self, graph: FloatGraph) -> None:
        self._taken = {*graph.constants, *(tensor.name for tensor in graph.given)}
        self._taken.update(output for node in graph.nodes for output in node.outputs)

    def new(self, hint: str) -> str:
        """A name that no tensor has yet, beginning with ``hint``."""
        name, count = hint, 0
        while name in self._taken:
            count += 1
            name = f"{hint}~{count}"
        self._taken.add(name)
        return name


@contextlib.contextmanager
def refused_by(node: FloatNode) -> Iterator[None]:
    """
    Let what goes wrong inside be the node's fault, as an error that names it.

    The attributes and operands of a node are whatever a file says: of any type, missing, of sizes that do not fit.
    """
    try:
        yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise node.unsupported(f"its attributes and operands do not fit it: {str(error) or 'one is missing'}") from None


def scalar_of(value: Array) -> float | None:
    """The one element of a constant, or None where it has several."""
    return float(np.asarray(value).reshape(-1)[0]) if np.asarray(value).size == 1 else None
