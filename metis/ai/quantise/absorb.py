"""Factors and sums for each channel go into the weights and the bias of the product before them."""

from __future__ import annotations

import dataclasses

import numpy as np

from metis.ai.quantise.graph import Array, FloatGraph, FloatNode, Names

__all__ = ["absorbed"]


def absorbed(graph: FloatGraph) -> FloatGraph:
    """The graph with constants that are multiplied with or added to a product's channels folded into the product."""
    names, uses = Names(graph), graph.uses()
    constants = dict(graph.constants)
    nodes: list[FloatNode] = []
    # The product that made a tensor, by its place in the new list.
    made_by: dict[str, int] = {}
    for node in graph.nodes:
        found = _absorbable(node, constants, made_by, nodes, uses)
        if found is None:
            if node.operator in ("MatMul", "Conv") and _is_linear(node, constants):
                made_by[node.outputs[0]] = len(nodes)
            nodes.append(node)
            continue
        place, changed = found
        inputs = [nodes[place].inputs[0]]
        for hint, value in zip(("weights", "bias"), changed, strict=True):
            name = names.new(f"{node.outputs[0]}/{hint}")
            constants[name] = value
            inputs.append(name)
        product = nodes[place]
        nodes[place] = dataclasses.replace(product, inputs=tuple(inputs), outputs=node.outputs)
        made_by[node.outputs[0]] = place
    result = dataclasses.replace(graph, constants=constants, nodes=nodes)
    result.prune()
    return result


def _is_linear(node: FloatNode, constants: dict[str, Array]) -> bool:
    fixed = all(not name or name in constants for name in node.inputs[1:])
    return fixed and (node.operator == "Conv" or constants[node.inputs[1]].ndim == 2)


def _absorbable(
    node: FloatNode, constants: dict[str, Array], made_by: dict[str, int], nodes: list[FloatNode], uses: dict[str, int]
) -> tuple[int, tuple[Array, Array]] | None:
    """The place of the product that takes a node in, and its new weights and bias."""
    if node.operator not in ("Add", "Sub", "Mul", "Div") or len(node.inputs) != 2:
        return None
    swapped = node.inputs[0] in constants
    name, other = node.inputs[::-1] if swapped else node.inputs
    if (
        other not in constants
        or uses.get(name) != 1
        or name not in made_by
        or (swapped and node.operator in ("Sub", "Div"))
    ):
        return None
    place = made_by[name]
    product = nodes[place]
    weights = constants[product.inputs[1]].astype(np.float64)
    conv = product.operator == "Conv"
    channels = weights.shape[0] if conv else weights.shape[1]
    trailing = weights.ndim - 2 if conv else 0
    value = _per_channel(constants[other], channels, trailing)
    if value is None:
        return None
    has_bias = len(product.inputs) > 2 and product.inputs[2]
    bias = constants[product.inputs[2]].astype(np.float64).reshape(-1) if has_bias else np.zeros(channels)
    bias = np.broadcast_to(bias, (channels,))
    if node.operator in ("Add", "Sub"):
        bias = bias + (value if node.operator == "Add" else -value)
    else:
        factor = value if node.operator == "Mul" else 1 / value
        if not np.isfinite(factor).all():
            return None
        weights = weights * (factor.reshape(-1, *[1] * (weights.ndim - 1)) if conv else factor)
        bias = bias * factor
    return place, (weights.astype(np.float32), np.asarray(bias, np.float32))


def _per_channel(constant: Array, channels: int, trailing: int) -> Array | None:
    """A constant as one number for each channel, if its shape says that it is that."""
    if constant.dtype.kind != "f":
        return None
    if constant.size == 1:
        return np.full(channels, float(constant.reshape(-1)[0]))
    shape = list(constant.shape)
    while shape and shape[0] == 1:
        shape.pop(0)
    return constant.reshape(-1).astype(np.float64) if shape == [channels, *[1] * trailing] else None
