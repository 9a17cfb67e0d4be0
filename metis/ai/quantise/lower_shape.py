"""Operators that move elements as integer operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from metis.ai.graph import DType
from metis.ai.quantise.emitter import Value, fixed_point, power_of_two_scale
from metis.ai.quantise.float_shape import pad_widths, slice_of, split_sizes
from metis.ai.quantise.graph import Array, FloatNode
from metis.ai.quantise.lowering import Lowering, Rule

__all__ = ["SHAPE_RULES"]

_CONCAT_MAX: Final = 16
# Tables of fewer elements keep 16 bits: what 8 would save is not worth what it costs.
_LARGE_TABLE: Final = 1 << 16


def _reshaped(low: Lowering, node: FloatNode) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: the result's shape says it all."""
    low.set(node.outputs[0], low.value(node.inputs[0]))


def _transpose(low: Lowering, node: FloatNode) -> None:
    value = low.value(node.inputs[0])
    rank = len(low.shape(node.inputs[0]))
    order = node.attributes.get("perm") or list(reversed(range(rank)))
    low.set(node.outputs[0], Value(low.emitter.transpose(value.tensor, order), value.scale, value.exact))


def _broadcast(low: Lowering, node: FloatNode) -> None:
    value, shape = low.value(node.inputs[0]), low.shape(node.outputs[0]) or (1,)
    tensor = value.tensor
    if low.emitter.facts(tensor).shape != shape:
        tensor = low.emitter.node("broadcast", tensor, shape=shape)
    low.set(node.outputs[0], Value(tensor, value.scale, value.exact))


def _tile(low: Lowering, node: FloatNode) -> None:
    repeats = low.required(node, 1, "the repeats")
    value, tensor = low.value(node.inputs[0]), low.value(node.inputs[0]).tensor
    for axis, count in enumerate(int(repeat) for repeat in repeats.reshape(-1)):
        tensor = _joined(low, [tensor] * count, axis)
    low.set(node.outputs[0], Value(tensor, value.scale, value.exact))


def _joined(low: Lowering, tensors: list[int], axis: int) -> int:
    """Tensors one after the other; more than one node takes are joined in groups."""
    while len(tensors) > 1:
        groups = [tensors[place : place + _CONCAT_MAX] for place in range(0, len(tensors), _CONCAT_MAX)]
        tensors = [low.emitter.node("concat", *group, axis=axis) if len(group) > 1 else group[0] for group in groups]
    return tensors[0]


def _concat(low: Lowering, node: FloatNode) -> None:
    emitter, names = low.emitter, [name for name in node.inputs if 0 not in low.shape(name)]
    rank = len(low.shape(names[0]))
    values = emitter.aligned(
        [low.value(name) for name in names], [low.magnitude(name) for name in names], low.magnitude(node.outputs[0])
    )
    dtype = max(emitter.facts(value).dtype for value in values)
    tensors = [
        value.tensor
        if emitter.facts(value).dtype is dtype
        else emitter.node("clip", value.tensor, lo=dtype.lo, hi=dtype.hi, dtype=dtype)
        for value in values
    ]
    exact = all(value.exact for value in values)
    low.set(node.outputs[0], Value(_joined(low, tensors, node.attributes["axis"] % rank), values[0].scale, exact))


def _part(low: Lowering, tensor: int, parts: list[tuple[int, int, int]]) -> int:
    shape = low.emitter.facts(tensor).shape
    if all(part == (0, size, 1) for part, size in zip(parts, shape, strict=True)):
        return tensor
    starts, stops, steps = zip(*parts, strict=True)
    return low.emitter.node("slice", tensor, starts=starts, stops=stops, steps=steps)


def _taken(low: Lowering, tensor: int, places: Array, axis: int) -> int:
    """Chosen places along an axis: a slice where they are evenly spaced, else a gather."""
    shape = low.emitter.facts(tensor).shape
    flat = places.reshape(-1)
    step = int(flat[1] - flat[0]) if len(flat) > 1 else 1
    if step > 0 and (np.diff(flat) == step).all():
        parts = [(0, size, 1) for size in shape]
        parts[axis] = (int(flat[0]), int(flat[-1]) + 1, step)
        return _part(low, tensor, parts)
    rank = len(shape)
    order = [axis, *(place for place in range(rank) if place != axis)]
    gathered = low.emitter.node("gather", low.emitter.transpose(tensor, order), low.emitter.constant(flat))
    return low.emitter.transpose(gathered, [order.index(place) for place in range(rank)])


def _slice(low: Lowering, node: FloatNode) -> None:
    inputs = [
        np.empty(low.shape(node.inputs[0])),
        *(low.optional(node, place, "a bound") for place in range(1, len(node.inputs))),
    ]
    value = low.value(node.inputs[0])
    tensor = value.tensor
    for axis, part in enumerate(slice_of(inputs, node.attributes)):
        places = np.arange(low.shape(node.inputs[0])[axis])[part]
        if len(places) == low.shape(node.inputs[0])[axis] and (part.step or 1) > 0:
            continue
        tensor = _taken(low, tensor, places, axis)
    low.set(node.outputs[0], Value(tensor, value.scale, value.exact))


def _split(low: Lowering, node: FloatNode) -> None:
    value, shape = low.value(node.inputs[0]), low.shape(node.inputs[0])
    axis = node.attributes.get("axis", 0) % len(shape)
    sizes = split_sizes([np.empty(shape), low.optional(node, 1, "the sizes")], node.attributes, len(node.outputs))
    begin = 0
    for name, size in zip(node.outputs, sizes, strict=True):
        parts = [(0, whole, 1) for whole in shape]
        parts[axis] = (begin, begin + size, 1)
        begin += size
        if name and size:
            low.set(name, Value(_part(low, value.tensor, parts), value.scale, value.exact))


def _gather(low: Lowering, node: FloatNode) -> None:
    table, places = low.constant(node.inputs[0]), low.constant(node.inputs[1])
    shape = low.shape(node.inputs[0])
    axis = node.attributes.get("axis", 0) % len(shape)
    if places is not None:
        value = low.value(node.inputs[0])
        tensor = _taken(low, value.tensor, places % shape[axis], axis)
        low.set(node.outputs[0], Value(tensor, value.scale, value.exact))
        return
    index = low.value(node.inputs[1]).tensor
    facts = low.emitter.facts(index)
    if facts.lo < 0:
        # A negative index counts from the end; one that is out of range takes the last entry.
        least = low.emitter.clip(index, -shape[axis], shape[axis] - 1)
        index = low.emitter.node(
            "select",
            low.emitter.node("less", least, low.emitter.constant(np.zeros(1))),
            low.emitter.binary("add", least, low.emitter.constant(np.asarray([shape[axis]]))),
            least,
            dtype=DType.INT32,
        )
    index = low.emitter.clip(index, 0, shape[axis] - 1)
    if table is not None and axis == 0 and table.dtype.kind == "f" and table.size >= _LARGE_TABLE and table.ndim == 2:
        _embedding(low, node, table, index)
        return
    value = low.value(node.inputs[0])
    rank = len(shape)
    order = [axis, *(place for place in range(rank) if place != axis)]
    gathered = low.emitter.node("gather", low.emitter.transpose(value.tensor, order), index)
    wide = len(low.emitter.facts(index).shape)
    # (index…, rest…) → the index's dimensions go where the axis was.
    back = [*range(wide, wide + axis), *range(wide), *range(wide + axis, wide + rank - 1)]
    low.set(node.outputs[0], Value(low.emitter.transpose(gathered, back), value.scale, value.exact))


def _embedding(low: Lowering, node: FloatNode, table: Array, index: int) -> None:
    """A large table in 8 bits, each entry with a factor of its own."""
    emitter, result = low.emitter, node.outputs[0]
    greatest = np.maximum(np.abs(table).max(axis=1, keepdims=True).astype(np.float64), 1e-30)
    entries = np.round(table / greatest * DType.INT8.hi).astype(np.int64)
    limit = low.limit(result)
    scale = power_of_two_scale(float(greatest.max()) / 1.4, limit)
    multipliers, shift = fixed_point(greatest / DType.INT8.hi / scale, 15)
    factors = emitter.node(
        "gather", emitter.constant(multipliers, DType.INT32 if multipliers.max() > 32767 else DType.INT16), index
    )
    rows = emitter.node("gather", emitter.constant(entries, DType.INT8), index)
    dtype = DType.INT16 if limit <= DType.INT16.hi else DType.INT32
    low.set(result, Value(emitter.node("rescale", rows, factors, shift=shift, dtype=dtype), scale))


def _pad(low: Lowering, node: FloatNode) -> None:
    emitter, shape = low.emitter, low.shape(node.inputs[0])
    given = [np.empty(shape), *(low.optional(node, place, "the padding") for place in range(1, len(node.inputs)))]
    widths, mode = pad_widths(given, node.attributes), node.attributes.get("mode", "constant")
    value = low.value(node.inputs[0])
    tensor = value.tensor
    fill = given[2] if len(given) > 2 else None
    number = float(np.asarray(fill).reshape(-1)[0]) if fill is not None else float(node.attributes.get("value", 0))
    for axis, (before, after) in enumerate(widths):
        size = emitter.facts(tensor).shape[axis]
        if mode != "constant" or before < 0 or after < 0:
            kind = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}.get(mode, "edge")
            places = np.pad(
                np.arange(size)[max(0, -before) : size - max(0, -after)], (max(0, before), max(0, after)), mode=kind
            )  # type: ignore[call-overload]
            if mode == "constant" and min(before, after) < 0 < max(before, after):
                raise node.unsupported("cutting and padding one dimension at once is not supported")
            if before or after:
                tensor = _taken(low, tensor, places, axis)
            continue
        facts = emitter.facts(tensor)
        whole = int(np.clip(round(number / value.scale), facts.dtype.lo, facts.dtype.hi))
        parts = [tensor]
        for place, count in ((0, before), (len(parts), after)):
            if count:
                block = list(facts.shape)
                block[axis] = count
                constant = emitter.constant(np.full((1,) * len(block), whole), facts.dtype)
                parts.insert(0 if place == 0 else len(parts), emitter.node("broadcast", constant, shape=tuple(block)))
        tensor = _joined(low, parts, axis)
    low.set(node.outputs[0], Value(tensor, value.scale, value.exact))


def _one_hot(low: Lowering, node: FloatNode) -> None:
    emitter = low.emitter
    depth = int(low.required(node, 1, "the depth").reshape(-1)[0])
    off, on = (float(value) for value in low.required(node, 2, "the values"))
    shape, result = low.shape(node.inputs[0]), low.shape(node.outputs[0])
    axis = node.attributes.get("axis", -1) % len(result)
    index = emitter.reshape(low.value(node.inputs[0]).tensor, (*shape[:axis], 1, *shape[axis:]))
    places = emitter.constant(np.arange(depth).reshape(-1, *[1] * (len(result) - 1 - axis)))
    hot = emitter.node("equal", index, places)
    if (off, on) == (0.0, 1.0):
        low.set(node.outputs[0], Value(hot, 1.0, exact=True))
        return
    scale = 1.0 if off.is_integer() and on.is_integer() else max(abs(off), abs(on)) / DType.INT16.hi
    ends = [emitter.constant(np.asarray([round(number / scale)])) for number in (on, off)]
    dtype = max(emitter.facts(end).dtype for end in ends)
    low.set(node.outputs[0], Value(emitter.node("select", hot, *ends, dtype=dtype), scale, scale == 1.0))


def _cache_append(low: Lowering, node: FloatNode) -> None:
    emitter = low.emitter
    cache, place = low.value(node.inputs[0]), low.value(node.inputs[2]).tensor
    facts = emitter.facts(cache)
    row = emitter.at_scale(low.value(node.inputs[1]), cache.scale, facts.hi)
    tensor = row.tensor
    if emitter.facts(tensor).dtype is not facts.dtype or emitter.facts(tensor).lo < facts.lo:
        tensor = emitter.node("clip", tensor, lo=facts.lo, hi=facts.hi, dtype=facts.dtype)
    axis = node.attributes["axis"]
    place = emitter.clip(place, 0, facts.shape[axis] - emitter.facts(tensor).shape[axis])
    low.set(node.outputs[0], Value(emitter.node("cache_append", cache.tensor, tensor, place, axis=axis), cache.scale))


SHAPE_RULES: Final[Mapping[str, Rule]] = {
    "CacheAppend": _cache_append,
    "Concat": _concat,
    "Expand": _broadcast,
    "Flatten": _reshaped,
    "Gather": _gather,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Reshape": _reshaped,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _reshaped,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _reshaped,
}
