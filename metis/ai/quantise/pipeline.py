"""A float graph and samples → an integer model with the meaning of its inputs and outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from metis.ai.file import Description, ModelFile, TensorDescription
from metis.ai.graph.limits import NAME_BYTES_MAX
from metis.ai.quantise.compact import without_unused
from metis.ai.quantise.emitter import NARROW_MAX
from metis.ai.quantise.execution import fold
from metis.ai.quantise.graph import Array, FloatGraph, FloatNode
from metis.ai.quantise.lower_elementwise import ELEMENTWISE_RULES
from metis.ai.quantise.lower_linear import LINEAR_RULES, is_share, product_limits
from metis.ai.quantise.lower_rows import ROW_RULES, softmax_parts
from metis.ai.quantise.lower_shape import SHAPE_RULES
from metis.ai.quantise.lowering import WIDE_LIMIT, Lowering, Options
from metis.ai.quantise.rewrite import rewritten
from metis.ai.quantise.statistics import calibrate
from metis.engine import keccak256
from metis.types import InvalidModelFile

__all__ = ["RULES", "quantise_graph"]

RULES: Final = {**ELEMENTWISE_RULES, **LINEAR_RULES, **ROW_RULES, **SHAPE_RULES}

_MOVES: Final = frozenset(
    {
        "Cast",
        "Dropout",
        "Expand",
        "Flatten",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)


def quantise_graph(
    graph: FloatGraph,
    samples: Sequence[Mapping[str, Array]],
    options: Options | None = None,
    tokenizer: bytes | None = None,
    source: str = "",
) -> ModelFile:
    """
    Quantise a float graph.

    Parameters
    ----------
    samples : inputs by name, of the shapes that the model shall have; their values set the scales.
    tokenizer : for a model that reads text, the file that makes its inputs of text.
    source : where the model is from, for people.

    Raises
    ------
    UnsupportedModel : names the first node that has no integer form.
    InvalidModelFile : the samples do not fit the model.
    """
    if not samples:
        raise InvalidModelFile("calibration", "it has no samples")
    first = {name: value for name, value in samples[0].items() if name}
    states = {state.name: _zeros(state.sizes, state.dtype) for state, _ in graph.states}
    folded = rewritten(fold(graph, {**states, **first}), {**states, **first})
    statistics = calibrate(folded, samples)
    low = Lowering(folded, statistics, options or Options())
    _set_limits(low)
    names = _Names()
    indices = _index_limits(low)
    inputs = tuple(_declared(low, names, tensor.name, indices) for tensor in folded.inputs)
    for state, _ in folded.states:
        low.declare(state, names.new(state.name), indices.get(state.name), state=True)
    low.run(RULES, lambda node: _needed(low, node))
    for state, becomes in folded.states:
        _update(low, state.name, becomes)
    names = _Names()
    outputs = []
    for name in folded.outputs:
        if name in folded.constants:
            raise InvalidModelFile(f"output {name!r}", "it does not depend on the input")
        value = low.value(name)
        given = names.new(name)
        low.emitter.builder.output(given, value.tensor)
        kind = "float" if low.is_float(name) else "integer"
        outputs.append(TensorDescription(given, name, kind, value.scale, low.shape(name)))
    model = without_unused(low.emitter.builder.model(None if tokenizer is None else keccak256(tokenizer)))
    return ModelFile.of(model, Description(source, inputs, tuple(outputs)), tokenizer)


def _zeros(shape: tuple[int, ...], dtype: str) -> Array:
    import numpy as np

    return np.zeros(shape, dtype)


def _declared(low: Lowering, names: _Names, name: str, indices: Mapping[str, int]) -> TensorDescription:
    tensor = next(tensor for tensor in low.graph.inputs if tensor.name == name)
    given = names.new(name)
    value = low.declare(tensor, given, indices.get(name))
    return TensorDescription(given, name, "float" if low.is_float(name) else "integer", value.scale, tensor.sizes)


def _update(low: Lowering, state: str, becomes: str) -> None:
    """What a state becomes, at the state's scale and in its range."""
    emitter, old = low.emitter, low.value(state)
    facts = emitter.facts(old)
    value = emitter.at_scale(low.value(becomes), old.scale, facts.hi)
    tensor = value.tensor
    found = emitter.facts(tensor)
    if found.dtype is not facts.dtype or found.lo < facts.lo or found.hi > facts.hi:
        tensor = emitter.node("clip", tensor, lo=facts.lo, hi=facts.hi, dtype=facts.dtype)
    emitter.builder.update(old.tensor, tensor)


def _needed(low: Lowering, node: FloatNode) -> tuple[str, ...]:
    if node.operator != "Softmax":
        return node.inputs
    addends, masks = softmax_parts(low, node.inputs[0])
    return (*addends, *(name for _, name in masks))


def _set_limits(low: Lowering) -> None:
    """What those who read a tensor would like its integers to be at most."""
    uses = low.graph.uses()
    for node in low.graph.nodes:
        if node.operator == "MatMul" and not any(low.constant(name) is not None for name in node.inputs[:2]):
            a, b = node.inputs[:2]
            limits = product_limits(low.shape(a)[-1], first_is_share=is_share(low, a))
            for name, limit in zip((a, b), limits, strict=True):
                _limit_back(low, name, limit)
        elif node.operator == "Add" and not any(low.constant(name) is not None for name in node.inputs):
            for name in node.inputs:
                producer = low.producers.get(name)
                if uses[name] == 1 and producer is not None and producer.operator in ("MatMul", "Gemm", "Conv"):
                    low.limits.setdefault(name, WIDE_LIMIT)


def _limit_back(low: Lowering, name: str, limit: int) -> None:
    """A limit for a tensor, and for what it is only a moved or multiplied form of."""
    for _ in range(12):
        low.limits[name] = min(limit, low.limits.get(name, NARROW_MAX))
        producer = low.producers.get(name)
        if producer is None:
            return
        scaled = producer.operator in ("Mul", "Div") and low.scalar(producer.inputs[1]) is not None
        if producer.operator not in _MOVES and not scaled:
            return
        name = producer.inputs[0]


def _index_limits(low: Lowering) -> dict[str, int]:
    """Inputs that choose entries of a table, and how many entries it has."""
    limits: dict[str, int] = {}
    for node in low.graph.nodes:
        if node.operator != "Gather":
            continue
        shape, name = low.shape(node.inputs[0]), node.inputs[1]
        entries = shape[node.attributes.get("axis", 0)]
        while (producer := low.producers.get(name)) is not None and producer.operator in _MOVES:
            name = producer.inputs[0]
        limits[name] = min(entries, limits.get(name, entries))
    return limits


class _Names:
    """Names as a graph may have them, from names as models have them."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, name: str) -> str:
        """The lower-case letters, digits and underscores of a name, with a number where another has the same."""
        plain = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[: NAME_BYTES_MAX - 8] or "tensor"
        count, unique = 1, plain
        while unique in self._taken:
            count += 1
            unique = f"{plain}_{count}"
        self._taken.add(unique)
        return unique
