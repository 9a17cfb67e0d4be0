"""What a graph consists of: element types, declared tensors, nodes."""

from __future__ import annotations

import dataclasses
import enum

__all__ = ["AttributeValue", "DType", "Declaration", "Graph", "Node", "Output", "TensorFacts"]

AttributeValue = int | tuple[int, ...]


class DType(enum.IntEnum):
    """Element type of a tensor: a signed two's-complement integer. The value is its code in a graph's bytes."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4

    @property
    def size_bytes(self) -> int:
        """Bytes of one element."""
        return 1 << (self - 1)

    @property
    def lo(self) -> int:
        """The least value."""
        return -(1 << (8 * self.size_bytes - 1))

    @property
    def hi(self) -> int:
        """The greatest value."""
        return (1 << (8 * self.size_bytes - 1)) - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Declaration:
    """
    A tensor that does not come from a node: an input, a state or a constant.

    Attributes
    ----------
    name : 1 to 64 of the characters a-z, 0-9 and _, unique among inputs and states; "" for a constant.
    shape : 1 to 6 dimensions, each at least 1.
    lo, hi : every element is from lo to hi, both included. An input or a constant that breaks this is refused before
        anything runs; for a state the validation proves it.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    lo: int
    hi: int


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """
    One operator applied.

    Attributes
    ----------
    operator : its name, such as "matmul"; docs/ai-graph.md lists them.
    inputs : tensor numbers, all below the numbers of this node's own outputs.
    attributes : values in the order of the operator's schema.
    """

    operator: str
    inputs: tuple[int, ...]
    attributes: tuple[AttributeValue, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """A tensor that a run gives back, under a name of its own."""

    name: str
    tensor: int


@dataclasses.dataclass(frozen=True, slots=True)
class Graph:
    """
    A computation on integers, in the order in which it runs.

    Tensors are numbered: inputs, then states, then constants, then the outputs of the nodes, in order. So a graph has
    no cycle, whatever its bytes say.

    Attributes
    ----------
    inputs : what a run is given.
    states : what a run leaves to the next one, zero at first: key-value caches, hidden layers.
    constants : weights and tables; their values stand in the weights, in this order.
    nodes : the operators, in the order of evaluation.
    updates : for each state the number of the tensor that it becomes.
    outputs : what a run gives back.
    """

    inputs: tuple[Declaration, ...]
    constants: tuple[Declaration, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    states: tuple[Declaration, ...] = ()
    updates: tuple[int, ...] = ()

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """The declared tensors, in the order of their numbers."""
        return self.inputs + self.states + self.constants

    @property
    def first_constant(self) -> int:
        """Number of the first constant's tensor."""
        return len(self.inputs) + len(self.states)


@dataclasses.dataclass(frozen=True, slots=True)
class TensorFacts:
    """
    What is known of a tensor before anything runs.

    Attributes
    ----------
    lo, hi : proven bounds of every element, both included; within the range of ``dtype``.
    """

    dtype: DType
    shape: tuple[int, ...]
    lo: int
    hi: int

    @property
    def element_count(self) -> int:
        """Number of elements."""
        count = 1
        for dimension in self.shape:
            count *= dimension
        return count

    @property
    def size_bytes(self) -> int:
        """Bytes of all elements."""
        return self.element_count * self.dtype.size_bytes

    @property
    def magnitude(self) -> int:
        """The greatest absolute value that an element may have."""
        return max(abs(self.lo), abs(self.hi))
