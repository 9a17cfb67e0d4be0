"""Normalisation, softmax, choices: operators on rows, the last dimension."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from metis.ai.graph import DType
from metis.ai.quantise.emitter import Value, power_of_two_scale
from metis.ai.quantise.graph import FloatNode, scalar_of
from metis.ai.quantise.lower_elementwise import lower_sum
from metis.ai.quantise.lowering import WIDE_LIMIT, Lowering, Rule
from metis.ai.quantise.statistics import MASKED

__all__ = ["ROW_RULES", "softmax_parts"]

# 2**24 · 2**-f within two parts in 10,000: docs/ai-graph.md.
_EXP2: Final = (16777216, -11603335, 3882178, -668937)
_FRACTION_BITS: Final = 14


def _layer_norm(low: Lowering, node: FloatNode) -> None:
    """LayerNormalization and RMSNormalization over the last dimensions."""
    emitter, name, result = low.emitter, node.inputs[0], node.outputs[0]
    shape = low.shape(name)
    axis = node.attributes.get("axis", -1) % len(shape)
    width = math.prod(shape[axis:])
    value = low.value(name)
    if emitter.facts(value).magnitude > 1 << 27:
        value = emitter.narrowed(value, low.magnitude(name), (1 << 26) - 1)
    x = emitter.reshape(value.tensor, (*shape[:axis], width) if axis else (1, width))
    center = int(node.operator == "LayerNormalization")
    facts = emitter.facts(x)
    spread = facts.hi - facts.lo if center else facts.magnitude
    # BOUND: twice the sum of squares of a row fits 63 bits.
    shift = max(0, (2 * width * spread * spread + width).bit_length() - 62 + 1) // 2
    if shift:
        shift += 1
    epsilon = node.attributes.get("epsilon", 1e-5) / (value.scale * 2.0**shift) ** 2
    bits = min(_FRACTION_BITS, (60 - width.bit_length()) // 2)
    y = emitter.node(
        "layer_norm", x, center=center, shift=shift, epsilon=min(1 << 60, max(1, round(epsilon))), fraction_bits=bits
    )
    gamma = low.required(node, 1, "the scale").reshape(-1)
    beta = low.optional(node, 2, "the bias")
    limit = max(WIDE_LIMIT, low.limit(result))
    scale = power_of_two_scale(low.magnitude(result), limit)
    y = emitter.rescaled(y, np.broadcast_to(gamma, (width,)) * 2.0**-bits / scale, DType.INT32)
    if beta is not None and beta.any():
        whole = np.round(np.broadcast_to(beta.reshape(-1), (width,)) / scale)
        y = emitter.binary("add", y, emitter.constant(whole.astype(np.int64), DType.INT32))
    low.set(result, Value(y, scale))


def softmax_parts(low: Lowering, name: str) -> tuple[list[str], list[tuple[str, str]]]:
    """
    What a softmax adds up, taken apart: tensors to add, and masks.

    A mask is (kind, name): "add" for a tensor that is 0 where an element takes part and far below elsewhere, "if" and
    "unless" for a condition.
    """
    addends: list[str] = []
    masks: list[tuple[str, str]] = []
    waiting = [name]
    while waiting:
        current = waiting.pop()
        statistics, producer = low.statistics[current], low.producers.get(current)
        if statistics.mask and (statistics.masked or (current != name and producer is not None)):
            masks.append(("add", current))
        elif producer is None:
            addends.append(current)
        elif producer.operator == "Add" and any(
            low.statistics[part].mask or low.statistics[part].masked for part in producer.inputs
        ):
            waiting += producer.inputs
        elif producer.operator == "Where" and _masked_scalar(low, producer.inputs[2]):
            masks.append(("if", producer.inputs[0]))
            waiting.append(producer.inputs[1])
        elif producer.operator == "Where" and _masked_scalar(low, producer.inputs[1]):
            masks.append(("unless", producer.inputs[0]))
            waiting.append(producer.inputs[2])
        else:
            addends.append(current)
    return addends, masks


def _masked_scalar(low: Lowering, name: str) -> bool:
    constant = low.constant(name)
    return constant is not None and bool((constant < MASKED).all())


def _keep(low: Lowering, kind: str, name: str) -> int:
    """1 where an element takes part."""
    emitter, constant = low.emitter, low.constant(name)
    if kind == "add" and constant is not None:
        return emitter.constant((constant > MASKED / 2).astype(np.int64), DType.INT8)
    value = low.value(name)
    if kind == "add":
        bound = emitter.constant(np.asarray([max(-(1 << 40), math.floor(MASKED / 2 / value.scale))]))
        return emitter.node("less", bound, value.tensor)
    zero = emitter.constant(np.zeros(1))
    if kind == "unless":
        return emitter.node("equal", value.tensor, zero)
    facts = emitter.facts(value)
    return value.tensor if facts.dtype is DType.INT8 else emitter.node("less", zero, value.tensor)


def _softmax(low: Lowering, node: FloatNode) -> None:
    emitter, name = low.emitter, node.inputs[0]
    shape = low.shape(name)
    rank, axis = len(shape), node.attributes.get("axis", -1) % len(shape)
    if low.graph.opset < 13 and axis != rank - 1:
        raise node.unsupported("before operator set 13 it flattens; export with 13 or newer")
    addends, masks = softmax_parts(low, name)
    if not addends:
        raise node.unsupported("everything that it adds up is a mask")
    value = low.value(addends[0]) if len(addends) == 1 else lower_sum(low, addends, addends[0])
    tensor = value.tensor
    keeps = [_keep(low, kind, mask) for kind, mask in masks]
    if emitter.facts(tensor).shape != shape:
        tensor = emitter.node("broadcast", tensor, shape=shape)
    order = [*(place for place in range(rank) if place != axis), axis]
    back = [order.index(place) for place in range(rank)]
    if axis != rank - 1:
        tensor = emitter.transpose(tensor, order)
        keeps = [emitter.transpose(_with_rank(low, keep, rank), order) for keep in keeps]
    if emitter.facts(tensor).magnitude > 1 << 36:
        tensor = emitter.clip(tensor, -(1 << 36), 1 << 36)
    operands = [tensor]
    if keeps:
        kept = keeps[0]
        for keep in keeps[1:]:
            kept = emitter.node("minimum", kept, keep, dtype=DType.INT8)
        operands.append(kept)
    facts = emitter.facts(tensor)
    # Powers of 2 in units of 2**-16, for each integer step.
    wanted = value.scale * math.log2(math.e) * 65536
    bits = min(24, 61 - max(1, facts.hi - facts.lo).bit_length())
    shift = min(62, max(0, bits - 1 - math.floor(math.log2(wanted))))
    multiplier = min((1 << 31) - 1, round(wanted * 2.0**shift))
    result = emitter.node("softmax", *operands, multiplier=multiplier, shift=shift, exp2=_EXP2, dtype=DType.INT16)
    low.set(node.outputs[0], Value(emitter.transpose(result, back) if axis != rank - 1 else result, 2.0**-15))


def _with_rank(low: Lowering, tensor: int, rank: int) -> int:
    shape = low.emitter.facts(tensor).shape
    return low.emitter.reshape(tensor, (*[1] * (rank - len(shape)), *shape))


def _to_last(low: Lowering, node: FloatNode) -> tuple[int, list[int], int]:
    """The operand with the node's axis last, the order back, and the axis."""
    rank = len(low.shape(node.inputs[0]))
    axis = node.attributes.get("axis", -1 if node.operator == "TopK" else 0) % rank
    order = [*(place for place in range(rank) if place != axis), axis]
    tensor = low.emitter.transpose(low.value(node.inputs[0]).tensor, order)
    return tensor, [order.index(place) for place in range(rank)], axis


def _arg_max(low: Lowering, node: FloatNode) -> None:
    if node.attributes.get("select_last_index", 0):
        raise node.unsupported("of equal elements the last one is asked for; the first is supported")
    tensor, back, _ = _to_last(low, node)
    if node.operator == "ArgMin":
        tensor = low.emitter.binary("subtract", low.emitter.constant(np.zeros(1)), tensor)
    places = low.emitter.node("arg_max", tensor)
    low.set(node.outputs[0], Value(low.emitter.transpose(places, back), 1.0, exact=True))


def _top_k(low: Lowering, node: FloatNode) -> None:
    tensor, back, _ = _to_last(low, node)
    value, k = low.value(node.inputs[0]), scalar_of(low.required(node, 1, "k"))
    smallest = not node.attributes.get("largest", 1)
    zero = low.emitter.constant(np.zeros(1))
    if smallest:
        tensor = low.emitter.binary("subtract", zero, tensor)
    values, places = low.emitter.nodes("top_k", tensor, k=int(k or 0))
    if smallest:
        values = low.emitter.binary("subtract", zero, values)
    for name, result, scale, exact in (
        (node.outputs[0], values, value.scale, value.exact),
        (node.outputs[1] if len(node.outputs) > 1 else "", places, 1.0, True),
    ):
        if name:
            low.set(name, Value(low.emitter.transpose(result, back), scale, exact))


def _sample(low: Lowering, node: FloatNode) -> None:
    shares, seed = (low.value(name).tensor for name in node.inputs)
    shares = low.emitter.clip(shares, 0, low.emitter.facts(shares).hi)
    low.set(node.outputs[0], Value(low.emitter.node("sample", shares, seed), 1.0, exact=True))


ROW_RULES: Final[Mapping[str, Rule]] = {
    "ArgMax": _arg_max,
    "ArgMin": _arg_max,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "Sample": _sample,
    "Softmax": _softmax,
    "TopK": _top_k,
}
