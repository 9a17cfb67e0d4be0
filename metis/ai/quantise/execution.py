"""Running a float graph in numpy: folding what does not depend on the inputs, calibration, the accuracy report."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from metis.ai.graph.limits import ELEMENTS_MAX
from metis.ai.quantise.expand import EXPANSIONS, Rewriter, inlined
from metis.ai.quantise.float_elementwise import ELEMENTWISE
from metis.ai.quantise.float_linear import LINEAR
from metis.ai.quantise.float_shape import SHAPE
from metis.ai.quantise.graph import Array, FloatGraph, FloatInput, FloatNode, Names, refused_by
from metis.ai.quantise.learned import LEARNED_EXPANSIONS
from metis.ai.quantise.recurrent import RECURRENT_EXPANSIONS
from metis.types import InvalidInput

__all__ = ["KERNELS", "evaluate_node", "fold", "run_float", "supported_operators", "zero_states"]

KERNELS: Final = {**ELEMENTWISE, **LINEAR, **SHAPE}
_EXPANSIONS: Final = {**EXPANSIONS, **LEARNED_EXPANSIONS, **RECURRENT_EXPANSIONS}


def supported_operators() -> set[str]:
    """Names of the operators that an import understands; not each with every attribute."""
    return {*KERNELS, *_EXPANSIONS}


def _integers(value: Array | None) -> list[int]:
    return [] if value is None else [abs(int(number)) for number in np.asarray(value).reshape(-1)[:64]]


def _expected_elements(node: FloatNode, inputs: Sequence[Array | None]) -> int:
    """At least as many elements as the node gives or needs, for operators that can give more than they take."""
    present = [value for value in inputs if value is not None]
    if node.operator in ("ConstantOfShape", "Expand"):
        return math.prod(_integers(present[-1])) * max(1, present[0].size if node.operator == "Expand" else 1)
    if node.operator == "Tile":
        return int(present[0].size) * math.prod(_integers(present[1]))
    if node.operator == "Range":
        start, limit, delta = (float(value.reshape(-1)[0]) for value in present[:3])
        return int(abs(limit - start) / max(abs(delta), 1e-9)) if math.isfinite(limit - start) else ELEMENTS_MAX + 1
    if node.operator == "Pad":
        return math.prod(size + 2 * max(_integers(inputs[1]) or [0], default=0) for size in present[0].shape)
    if node.operator == "OneHot":
        return int(present[0].size) * max(_integers(present[1]))
    if node.operator in ("MatMul", "Gemm"):
        return max(int(present[0].size) // max(1, int(present[0].shape[-1])), 1) * max(map(int, present[1].shape))
    if node.operator == "Gather":
        entries = int(present[0].shape[node.attributes.get("axis", 0)])
        return int(present[1].size) * (int(present[0].size) // max(1, entries))
    if node.operator in ELEMENTWISE and len(present) > 1:
        return math.prod(np.broadcast_shapes(*(value.shape for value in present)))
    if node.operator in ("Conv", "MaxPool", "AveragePool"):
        pads = [abs(pad) for pad in node.attributes.get("pads") or [0]]
        return math.prod(size + 2 * max(pads) for size in present[0].shape)
    return 0


def evaluate_node(node: FloatNode, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    """
    What one node gives.

    Raises
    ------
    UnsupportedModel : the operator is not known, its operands do not fit it, or the result would be too large.
    """
    kernel = KERNELS.get(node.operator)
    if kernel is None:
        raise node.unsupported("this operator is not supported; " + _hint(node.operator))
    attributes = {**node.attributes, "output_count": len(node.outputs)}
    try:
        if _expected_elements(node, inputs) > ELEMENTS_MAX:
            raise node.unsupported(f"the result has more than {ELEMENTS_MAX} elements")
        with np.errstate(all="ignore"):
            return kernel(inputs, attributes)
    except (ValueError, IndexError, KeyError, TypeError, AssertionError, MemoryError, OverflowError) as error:
        shapes = [None if value is None else value.shape for value in inputs]
        raise node.unsupported(
            f"it does not take operands of shapes {shapes}: {str(error) or 'one is missing'}"
        ) from None


def _hint(operator: str) -> str:
    if operator in ("Loop", "If", "Scan"):
        return "a graph has no control flow: export with fixed sizes, so that conditions are constants"
    if operator in ("NonZero", "NonMaxSuppression", "Unique", "Compress"):
        return "the shape of its result depends on values: leave it out of the exported model"
    if operator.startswith(("QLinear", "Quantize", "Dequantize", "ConvInteger", "MatMulInteger", "DynamicQuantize")):
        return "give the float model, which is quantised here"
    return "docs/bring-your-model.md lists those that are"


def zero_states(graph: FloatGraph) -> dict[str, Array]:
    """States before the first run."""
    return {state.name: np.zeros(state.sizes, state.dtype) for state, _ in graph.states}


def run_float(
    graph: FloatGraph, given: Mapping[str, Array], observe: Callable[[str, Array], None] | None = None
) -> dict[str, Array]:
    """
    Every output, and every tensor that a state becomes, by name.

    Parameters
    ----------
    given : inputs and states by name. observe : is shown each tensor as soon as it is there.
    """
    tensors: dict[str, Array] = dict(graph.constants)
    for tensor in graph.given:
        if tensor.name not in given:
            raise InvalidInput(tensor.name, "it is missing")
        tensors[tensor.name] = np.asarray(given[tensor.name])
        if observe:
            observe(tensor.name, tensors[tensor.name])
    uses = graph.uses()
    for node in graph.nodes:
        values = evaluate_node(node, [tensors[name] if name else None for name in node.inputs])
        for name, value in zip(node.outputs, values, strict=False):
            if name:
                tensors[name] = value
                if observe:
                    observe(name, value)
        for name in node.inputs:
            uses[name] -= 1
            if not uses[name] and name not in graph.constants:
                # Activations of large models are large: what nobody reads any more is let go.
                tensors.pop(name, None)
    return {name: tensors[name] for name in {*graph.outputs, *(tensor for _, tensor in graph.states)}}


_SHAPES_ALONE: Final = frozenset({"Shape", "Size"})


def fold(graph: FloatGraph, sample: Mapping[str, Array]) -> FloatGraph:
    """
    The graph for inputs of the sample's shapes: what follows from constants and shapes alone becomes constants.

    Raises
    ------
    UnsupportedModel : names the first node that cannot be evaluated.
    """
    tensors: dict[str, Array] = {**graph.constants, **{name: np.asarray(value) for name, value in sample.items()}}
    constants, groups, kept = dict(graph.constants), dict(graph.groups), []
    names, waiting = Names(graph), list(reversed(graph.nodes))
    while waiting:
        node = waiting.pop()
        constant = all(name in constants for name in node.inputs if name)
        if node.operator == "If" and node.inputs[0] in constants:
            branch = node.attributes["then_branch" if constants[node.inputs[0]].all() else "else_branch"]
            waiting += reversed(inlined(branch, node, constants, names))
            tensors.update(constants)
            continue
        if node.operator in _EXPANSIONS:
            shapes = {name: tensors[name].shape for name in node.inputs if name}
            rewriter = Rewriter(node, shapes, constants, names)
            with refused_by(node):
                _EXPANSIONS[node.operator](rewriter)
            tensors.update(constants)
            groups.update(rewriter.groups)
            waiting += reversed(rewriter.nodes)
            continue
        values = evaluate_node(node, [tensors[name] if name else None for name in node.inputs])
        named = {name: value for name, value in zip(node.outputs, values, strict=False) if name}
        tensors.update(named)
        if node.operator in _SHAPES_ALONE or constant:
            constants.update(named)
        else:
            kept.append(node)
    inputs = [_fixed(tensor, tensors[tensor.name]) for tensor in graph.inputs]
    states = [(_fixed(tensor, tensors[tensor.name]), becomes) for tensor, becomes in graph.states]
    folded = FloatGraph(inputs, constants, kept, list(graph.outputs), states, graph.opset, groups)
    folded.prune()
    return folded


def _fixed(tensor: FloatInput, value: Array) -> FloatInput:
    return dataclasses.replace(tensor, shape=value.shape)
