"""Float kernels that move elements or look at shapes; the definitions are ONNX's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from metis.ai.quantise.float_elementwise import Kernel
from metis.ai.quantise.float_linear import axes_of
from metis.ai.quantise.graph import Array
from metis.ai.reference.kernels_rows import mixed

__all__ = ["SHAPE", "pad_widths", "slice_of", "split_sizes"]

Attributes = Mapping[str, Any]
Inputs = Sequence[Array | None]


def _given(inputs: Inputs, place: int) -> Array:
    value = inputs[place]
    assert value is not None  # noqa: S101 - a required input
    return value


def _integers(inputs: Inputs, place: int) -> list[int]:
    return [int(value) for value in _given(inputs, place).reshape(-1)]


def _reshape(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, shape = _given(inputs, 0), _integers(inputs, 1)
    if not attributes.get("allowzero", 0):
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return (x.reshape(shape),)


def _flatten(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, axis = _given(inputs, 0), attributes.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return (x.reshape(int(np.prod(x.shape[:axis], dtype=np.int64)), -1),)


def slice_of(inputs: Inputs, attributes: Attributes) -> tuple[slice, ...]:
    """What a Slice takes of each dimension."""
    x = _given(inputs, 0)
    if "starts" in attributes:
        starts, stops, axes = attributes["starts"], attributes["ends"], attributes.get("axes")
        steps = None
    else:
        starts, stops = _integers(inputs, 1), _integers(inputs, 2)
        axes = _integers(inputs, 3) if len(inputs) > 3 and inputs[3] is not None else None
        steps = _integers(inputs, 4) if len(inputs) > 4 and inputs[4] is not None else None
    parts = [slice(None)] * x.ndim
    for place, axis in enumerate(range(len(starts)) if axes is None else axes):
        start, stop, step = int(starts[place]), int(stops[place]), 1 if steps is None else steps[place]
        # A backward slice to before the first element has no end in Python.
        parts[axis] = slice(start, None if step < 0 and stop < -x.shape[axis] else stop, step)
    return tuple(parts)


def split_sizes(inputs: Inputs, attributes: Attributes, count: int) -> list[int]:
    """Lengths of the parts that a Split gives."""
    if "split" in attributes:
        return [int(size) for size in attributes["split"]]
    if len(inputs) > 1 and inputs[1] is not None:
        return _integers(inputs, 1)
    total = _given(inputs, 0).shape[attributes.get("axis", 0)]
    each = -(-total // count)
    return [min(each, total - place * each) for place in range(count)]


def _split(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    sizes = split_sizes(inputs, attributes, attributes["output_count"])
    return tuple(np.split(_given(inputs, 0), np.cumsum(sizes)[:-1], axis=attributes.get("axis", 0)))


def _squeeze(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, axes = _given(inputs, 0), axes_of(inputs, attributes)
    return (np.squeeze(x, axis=axes),)


def _unsqueeze(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    axes = axes_of(inputs, attributes)
    return (np.expand_dims(_given(inputs, 0), axes or ()),)


def _expand(inputs: Inputs, _: Attributes) -> tuple[Array, ...]:
    x = _given(inputs, 0)
    return (np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(_integers(inputs, 1)))),)


def _gather(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    return (np.take(_given(inputs, 0), _given(inputs, 1), axis=attributes.get("axis", 0)),)


def _gather_elements(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, axis = _given(inputs, 0), attributes.get("axis", 0)
    return (np.take_along_axis(x, _given(inputs, 1) % x.shape[axis], axis=axis),)


def _gather_nd(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, places, batch = _given(inputs, 0), _given(inputs, 1), attributes.get("batch_dims", 0)
    leading = np.indices(places.shape[:-1])[:batch]
    return (x[(*leading, *np.moveaxis(places, -1, 0))],)


def _one_hot(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    places, depth, (off, on) = _given(inputs, 0), _integers(inputs, 1)[0], _given(inputs, 2)
    axis = attributes.get("axis", -1)
    hot = (places % depth)[..., None] == np.arange(depth)
    return (np.moveaxis(np.where(hot, on, off), -1, axis),)


def _constant_of_shape(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    value = np.asarray(attributes.get("value", np.zeros(1, np.float32))).reshape(-1)
    return (np.full(_integers(inputs, 0), value[0], value.dtype),)


def _range(inputs: Inputs, _: Attributes) -> tuple[Array, ...]:
    start, limit, delta = (_given(inputs, place).reshape(-1)[0] for place in range(3))
    return (np.arange(start, limit, delta, dtype=_given(inputs, 0).dtype),)


def _shape(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    shape = _given(inputs, 0).shape
    return (np.asarray(shape[attributes.get("start", 0) : attributes.get("end")], np.int64),)


def _trilu(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    k = _integers(inputs, 1)[0] if len(inputs) > 1 and inputs[1] is not None else 0
    return ((np.triu if attributes.get("upper", 1) else np.tril)(_given(inputs, 0), k),)


def pad_widths(inputs: Inputs, attributes: Attributes) -> list[tuple[int, int]]:
    """What a Pad adds before and after each dimension."""
    x = _given(inputs, 0)
    pads = [int(pad) for pad in attributes["pads"]] if "pads" in attributes else _integers(inputs, 1)
    axes = _integers(inputs, 3) if len(inputs) > 3 and inputs[3] is not None else range(x.ndim)
    widths = [(0, 0)] * x.ndim
    for place, axis in enumerate(axes):
        widths[axis] = (pads[place], pads[place + len(pads) // 2])
    return widths


def _pad(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, widths = _given(inputs, 0), pad_widths(inputs, attributes)
    crop = tuple(slice(max(0, -a), x.shape[axis] - max(0, -b)) for axis, (a, b) in enumerate(widths))
    grow = [(max(0, a), max(0, b)) for a, b in widths]
    mode = attributes.get("mode", "constant")
    if mode != "constant":
        return (np.pad(x[crop], grow, mode=mode),)
    value = (
        _given(inputs, 2).reshape(-1)[0] if len(inputs) > 2 and inputs[2] is not None else attributes.get("value", 0)
    )
    return (np.pad(x[crop], grow, constant_values=value),)


def _depth_to_space(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, size = _given(inputs, 0), attributes["blocksize"]
    batch, depth, height, width = x.shape
    if attributes.get("mode", "DCR") == "DCR":
        parts = x.reshape(batch, size, size, -1, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(batch, -1, size, size, height, width).transpose(0, 1, 4, 2, 5, 3)
    return (parts.reshape(batch, depth // (size * size), height * size, width * size),)


def _sample(inputs: Inputs, _: Attributes) -> tuple[Array, ...]:
    """Not ONNX's: a place for each row, chosen by its share and a seed, as the integer operator ``sample``."""
    shares, seed = _given(inputs, 0), _integers(inputs, 1)[0]
    flat = shares.reshape(-1, shares.shape[-1])
    running = np.cumsum(flat, axis=-1, dtype=np.float64)
    points = np.asarray([mixed(seed, row) / 2.0**64 for row in range(len(flat))]) * running[:, -1]
    chosen = (running <= points[:, None]).sum(axis=-1)
    return (np.minimum(chosen, shares.shape[-1] - 1).reshape(*shares.shape[:-1], 1).astype(np.int64),)


def _cache_append(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    """Not ONNX's: a key-value cache with rows written, as the integer operator ``cache_append``."""
    cache, x, axis = _given(inputs, 0).copy(), _given(inputs, 1), attributes["axis"]
    place = _integers(inputs, 2)[0]
    cache[(slice(None),) * axis + (slice(place, place + x.shape[axis]),)] = x
    return (cache,)


SHAPE: Final[Mapping[str, Kernel]] = {
    "CacheAppend": _cache_append,
    "Concat": lambda inputs, a: (np.concatenate([x for x in inputs if x is not None], axis=a["axis"]),),
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Dropout": lambda inputs, _: (_given(inputs, 0),),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Sample": _sample,
    "Shape": _shape,
    "Size": lambda inputs, _: (np.asarray(_given(inputs, 0).size, np.int64),),
    "Slice": lambda inputs, attributes: (_given(inputs, 0)[slice_of(inputs, attributes)],),
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": lambda inputs, _: (np.tile(_given(inputs, 0), _integers(inputs, 1)),),
    "Transpose": lambda inputs, a: (np.transpose(_given(inputs, 0), a.get("perm")),),
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
