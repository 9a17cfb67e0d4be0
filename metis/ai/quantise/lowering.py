"""From a calibrated float graph to an integer graph: the walk over the nodes, and what all rules share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Final, Literal

import numpy as np

from metis.ai.graph import DType
from metis.ai.quantise.emitter import NARROW_MAX, Emitter, Value, power_of_two_scale, smallest_type
from metis.ai.quantise.float_linear import axes_of
from metis.ai.quantise.graph import Array, FloatGraph, FloatInput, FloatNode, refused_by, scalar_of
from metis.ai.quantise.statistics import TensorStatistics
from metis.types import InvalidGraph

__all__ = ["MASK_SCALE", "WIDE_LIMIT", "Lowering", "Options", "Rule"]

WIDE_LIMIT: Final = (1 << 20) - 1
"""Limit of tensors that are added up over layers: more than 16 bits, for a few channels may be far above the others."""

MASK_SCALE: Final = 1e9
_EXACT_MAX: Final = 1 << 24


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """
    How a model is quantised.

    Attributes
    ----------
    activations : "int8" quantises the rows before large products by their own greatest value; "int16" is slower and
        closer to the float model, with scales from the calibration.
    """

    activations: Literal["int8", "int16"] = "int8"


Rule = Callable[["Lowering", FloatNode], None]


class Lowering:
    """
    One graph being lowered.

    Attributes
    ----------
    limits : greatest integer wanted of a tensor by those that read it.
    """

    def __init__(self, graph: FloatGraph, statistics: Mapping[str, TensorStatistics], options: Options) -> None:
        self.graph = graph
        self.statistics = statistics
        self.options = options
        self.emitter = Emitter()
        self.producers = graph.producers()
        self.limits: dict[str, int] = {}
        self._values: dict[str, Value] = {}

    # What rules read.

    def constant(self, name: str) -> Array | None:
        """The value of a constant, or None where the tensor is none."""
        return self.graph.constants.get(name)

    def required(self, node: FloatNode, place: int, what: str) -> Array:
        """An input that must be constant; raises :class:`metis.types.UnsupportedModel`."""
        value = self.optional(node, place, what)
        if value is None:
            raise node.unsupported(f"{what} is missing")
        return value

    def optional(self, node: FloatNode, place: int, what: str) -> Array | None:
        """An input that must be constant if it is there."""
        name = node.inputs[place] if len(node.inputs) > place else ""
        if name and name not in self.graph.constants:
            raise node.unsupported(f"{what} depends on the input; only a constant is supported")
        return self.graph.constants[name] if name else None

    def axes(self, node: FloatNode) -> tuple[int, ...]:
        """The axes that a node works on, none negative; all where it names none."""
        rank = len(self.shape(node.inputs[0]))
        axes = axes_of([None, self.optional(node, 1, "axes")], node.attributes)
        return tuple(sorted(axis % rank for axis in (range(rank) if axes is None else axes))) if rank else ()

    def shape(self, name: str) -> tuple[int, ...]:
        """The float tensor's shape."""
        return self.statistics[name].shape

    def magnitude(self, name: str) -> float:
        """The greatest absolute value seen of a tensor."""
        return self.statistics[name].magnitude

    def is_float(self, name: str) -> bool:
        """Whether the model's tensor is of floats."""
        return self.statistics[name].kind == "f"

    def value(self, name: str) -> Value:
        """The integers of a tensor; a constant becomes one of the graph when it is first asked for."""
        if name not in self._values:
            self._values[name] = self._constant(self.graph.constants[name], self.statistics[name])
        return self._values[name]

    def scalar(self, name: str) -> float | None:
        """The value of a constant of one element."""
        value = self.constant(name)
        return None if value is None else scalar_of(value)

    # What rules write.

    def set(self, name: str, value: Value) -> None:
        """Give a tensor its integers, in the shape that the float tensor has."""
        shape = self.shape(name) or (1,)
        self._values[name] = dataclasses.replace(value, tensor=self.emitter.reshape(value.tensor, shape))

    def limit(self, name: str) -> int:
        """The greatest integer that a tensor should have."""
        return self.limits.get(name, NARROW_MAX)

    def settled(self, name: str, value: Value) -> Value:
        """A value at the scale that the calibration suggests for a tensor, within its limit."""
        limit = self.limit(name)
        return self.emitter.at_scale(value, power_of_two_scale(self.magnitude(name), limit), limit)

    def _constant(self, value: Array, statistics: TensorStatistics) -> Value:
        array = np.atleast_1d(np.asarray(value))
        if statistics.kind != "f":
            return Value(self.emitter.constant(array.astype(np.int64)), 1.0, exact=True)
        if statistics.mask and statistics.masked:
            return Value(self.emitter.constant(-(array < 0).astype(np.int64)), MASK_SCALE)
        finite = np.clip(np.nan_to_num(array.astype(np.float64)), statistics.lo, statistics.hi)
        if not (finite % 1).any() and np.abs(finite).max() < _EXACT_MAX:
            return Value(self.emitter.constant(finite.astype(np.int64)), 1.0, exact=True)
        # Few elements cost nothing; many are kept in 16 bits.
        limit = NARROW_MAX if array.size > 4096 else WIDE_LIMIT
        scale = 2.0 ** math.ceil(math.log2(statistics.magnitude / limit))
        return Value(self.emitter.constant(np.round(finite / scale).astype(np.int64)), scale)

    # The walk.

    def run(self, rules: Mapping[str, Rule], needed_by: Callable[[FloatNode], tuple[str, ...]]) -> None:
        """
        Lower every node that an output or a state depends on.

        Parameters
        ----------
        needed_by : the tensors that a node's rule will ask for.

        Raises
        ------
        UnsupportedModel : names the first node that has no integer form.
        """
        needed = {*self.graph.outputs, *(tensor for _, tensor in self.graph.states)}
        order = []
        for node in reversed(self.graph.nodes):
            if needed.intersection(node.outputs):
                needed.update(needed_by(node))
                order.append(node)
        for node in reversed(order):
            rule = rules.get(node.operator)
            if rule is None:
                raise node.unsupported("it depends on the input and has no integer form")
            if any(0 in self.shape(name) for name in node.outputs if name in self.statistics):
                raise node.unsupported("a tensor without elements has no integer form")
            if any(len(self.shape(name)) > 6 for name in node.outputs if name in self.statistics):
                raise node.unsupported("a tensor has more than 6 dimensions")
            try:
                with refused_by(node):
                    rule(self, node)
            except InvalidGraph as error:
                raise node.unsupported(f"its integer form is refused: {error.problem}") from None

    def declare(self, tensor: FloatInput, name: str, index_limit: int | None, *, state: bool = False) -> Value:
        """
        Declare an input or a state.

        Parameters
        ----------
        index_limit : entries of the table that it is an index of, if it is one.
        """
        statistics = self.statistics[tensor.name]
        shape = tensor.sizes or (1,)
        add = self.emitter.builder.state if state else self.emitter.builder.input
        if statistics.kind == "f":
            limit = self.limit(tensor.name)
            dtype = DType.INT16 if limit <= NARROW_MAX else DType.INT32
            value = Value(add(name, dtype, shape, -limit, limit), power_of_two_scale(statistics.magnitude, limit))
        else:
            lo, hi = _integer_range(statistics, index_limit)
            value = Value(add(name, smallest_type(lo, hi), shape, lo, hi), 1.0, exact=True)
        self._values[tensor.name] = value
        return value


def _integer_range(statistics: TensorStatistics, index_limit: int | None) -> tuple[int, int]:
    """What an integer input may be: any index, a flag, or the range of the narrowest type that holds what was seen."""
    if index_limit is not None:
        return 0, index_limit - 1
    if statistics.kind == "b" or (statistics.lo >= 0 and statistics.hi <= 1):
        return 0, 1
    dtype = smallest_type(int(statistics.lo), int(statistics.hi))
    return dtype.lo if statistics.lo < 0 else 0, dtype.hi
