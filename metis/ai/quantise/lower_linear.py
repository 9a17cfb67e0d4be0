"""Products, convolutions, pools and sums as integer operators."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from metis.ai.graph import DType
from metis.ai.quantise.emitter import NARROW_MAX, Value, power_of_two_scale
from metis.ai.quantise.execution import evaluate_node
from metis.ai.quantise.float_linear import window_pads
from metis.ai.quantise.graph import Array, FloatNode
from metis.ai.quantise.lowering import Lowering, Rule

__all__ = ["LINEAR_RULES", "product_limits"]

_WEIGHT_MAX: Final = 127
_INT32_MAX: Final = (1 << 31) - 1
# A product of so few multiplications is not worth a pass over its rows: 16-bit factors cost the same and say more.
_SMALL_MACS: Final = 1 << 16
# Of so few, weights of 16 bits in 64-bit sums cost nothing either.
_TINY_MACS: Final = 1 << 14
# Of so few rows a product takes as long as its weights take to be read: wider rows cost nothing.
_FEW_ROWS: Final = 4
_LEAST_FACTOR: Final = 255
_WIDE_FACTOR: Final = 1 << 11


def _quantised_weights(
    weights: Array, bias: Array | None, unit: float, limit: int = _WEIGHT_MAX
) -> tuple[Array, Array]:
    """
    Weights of (channels, …) as integers up to ``limit``, and the real value of one for each channel.

    A channel's scale does not fall so low that its bias would leave 29 bits of the accumulator, whose unit is the
    scale times ``unit``.
    """
    flat = weights.reshape(weights.shape[0], -1).astype(np.float64)
    scales = np.abs(flat).max(axis=1) / limit
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias.reshape(-1)) / (unit * (1 << 28)))
    scales = np.where(scales > 0, scales, max(float(scales.max()), 1e-30))
    return np.round(flat / scales[:, None]).astype(np.int64).reshape(weights.shape), scales


def _factor(
    low: Lowering, name: str, terms: int, macs: int, rows: tuple[int, ...] | None
) -> tuple[int, int | None, float]:
    """
    An activation ready to be multiplied with weights: the tensor, the greatest value of each row or None, its unit.

    Parameters
    ----------
    terms : products in a sum. rows : the shape in which rows are quantised, or None for the tensor's own.
    """
    emitter, value = low.emitter, low.value(name)
    facts = emitter.facts(value)
    if facts.dtype is DType.INT8:
        return value.tensor, None, value.scale
    static_limit = NARROW_MAX if 0 < macs <= _TINY_MACS else min(NARROW_MAX, _INT32_MAX // (_WEIGHT_MAX * terms))
    if static_limit >= _LEAST_FACTOR and (low.options.activations == "int16" or macs <= _SMALL_MACS):
        narrow = emitter.narrowed(value, low.magnitude(name), static_limit)
        return narrow.tensor, None, narrow.scale
    if facts.magnitude > _INT32_MAX:
        value = emitter.narrowed(value, low.magnitude(name), 1 << 26)
    shape = emitter.facts(value).shape
    q, greatest = emitter.nodes("quantise_rows", emitter.reshape(value.tensor, rows or shape), dtype=DType.INT8)
    return emitter.reshape(q, shape), greatest, value.scale / DType.INT8.hi


def _finished(low: Lowering, name: str, sums: int, rows: int | None, units: Array, bias: Array | None) -> None:
    """
    Set a tensor to sums of products: times what each row was divided by, with its bias, at the tensor's own scale.

    Parameters
    ----------
    units : the real value of one in the sums, for each channel, in a shape that broadcasts.
    """
    emitter, limit = low.emitter, low.limit(name)
    if rows is not None:
        product = emitter.facts(sums).magnitude * emitter.facts(rows).magnitude
        shift = max(0, product.bit_length() - 30)
        sums = emitter.node("rescale", sums, rows, shift=shift, dtype=DType.INT32)
        units = units * 2.0**shift
    if bias is not None and bias.any():
        whole = np.round(bias.reshape(units.shape) / units)
        sums = emitter.binary("add", sums, emitter.constant(whole.astype(np.int64), DType.INT32))
    scale = power_of_two_scale(low.magnitude(name), limit)
    dtype = DType.INT16 if limit <= NARROW_MAX else DType.INT32
    tensor = emitter.rescaled(sums, units / scale, dtype)
    low.set(name, Value(emitter.clip(tensor, -limit - (limit == NARROW_MAX), limit), scale))


def _matmul(low: Lowering, node: FloatNode) -> None:
    """MatMul, with a third input as bias where folding found one."""
    weights = low.constant(node.inputs[1])
    if weights is not None and weights.ndim == 2:
        bias = low.constant(node.inputs[2]) if len(node.inputs) > 2 else None
        _linear(low, node, node.inputs[0], weights, bias)
    elif low.constant(node.inputs[0]) is not None and low.constant(node.inputs[0]).ndim == 2:  # type: ignore[union-attr]
        _linear_from_left(low, node)
    else:
        _product(low, node)


def _linear(low: Lowering, node: FloatNode, name: str, weights: Array, bias: Array | None) -> None:
    inner, columns = weights.shape
    elements = math.prod(low.shape(node.outputs[0]))
    rows = (1, inner) if len(low.shape(name)) == 1 else None
    few = elements <= _FEW_ROWS * columns
    macs = 0 if node.attributes.get("static") or (few and elements * inner > _TINY_MACS) else elements * inner
    factor, greatest, unit = _factor(low, name, inner, macs, rows)
    if rows:
        factor = low.emitter.reshape(factor, rows)
    # What a row's rescaling leaves in the unit is at least this, so the bias fits.
    tiny = 0 < macs <= _TINY_MACS
    limit = NARROW_MAX if tiny else _WEIGHT_MAX
    integers, scales = _quantised_weights(weights.T, bias, unit, limit)
    table = low.emitter.constant(integers, DType.INT16 if tiny else DType.INT8)
    accumulator = _accumulator(low, factor, inner, limit)
    sums = low.emitter.node("matmul", factor, table, transpose_b=1, accumulator=accumulator)
    _finished(low, node.outputs[0], sums, greatest, scales * unit, bias)


def _accumulator(low: Lowering, factor: int, terms: int, limit: int = _WEIGHT_MAX) -> DType:
    return DType.INT32 if low.emitter.facts(factor).magnitude * limit * terms <= _INT32_MAX else DType.INT64


def _linear_from_left(low: Lowering, node: FloatNode) -> None:
    """A constant matrix times an activation, as the transposed product."""
    weights, name = low.required(node, 0, "the left matrix"), node.inputs[1]
    if len(low.shape(name)) < 2:
        _product(low, node)
        return
    value = low.value(name)
    rank = len(low.shape(name))
    order = (*range(rank - 2), rank - 1, rank - 2)
    turned = low.emitter.transpose(value.tensor, order)
    narrow = low.emitter.narrowed(
        Value(turned, value.scale), low.magnitude(name), min(NARROW_MAX, _INT32_MAX // (_WEIGHT_MAX * weights.shape[1]))
    )
    integers, scales = _quantised_weights(weights, None, narrow.scale)
    sums = low.emitter.node(
        "matmul", narrow.tensor, low.emitter.constant(integers, DType.INT8), transpose_b=1, accumulator=DType.INT32
    )
    scale = power_of_two_scale(low.magnitude(node.outputs[0]), NARROW_MAX)
    tensor = low.emitter.rescaled(sums, scales * narrow.scale / scale, DType.INT16)
    low.set(node.outputs[0], Value(low.emitter.transpose(tensor, order), scale))


def product_limits(terms: int, *, first_is_share: bool) -> tuple[int, int]:
    """
    Limits of two factors so that a sum of products fits 32 bits.

    Parameters
    ----------
    first_is_share : the first comes from softmax and has 15 bits; then the second gets what is left.
    """
    if first_is_share:
        first = min(NARROW_MAX, _INT32_MAX // (terms * _LEAST_FACTOR))
        return first, min(NARROW_MAX, _INT32_MAX // (terms * first))
    both = min(NARROW_MAX, math.isqrt(_INT32_MAX // terms))
    return both, both


def _product(low: Lowering, node: FloatNode) -> None:
    """The product of two activations."""
    emitter = low.emitter
    a, b = node.inputs[:2]
    shape_a, shape_b = low.shape(a), low.shape(b)
    terms = shape_a[-1]
    limits = product_limits(terms, first_is_share=is_share(low, a))
    x = emitter.narrowed(low.value(a), low.magnitude(a), limits[0])
    y = emitter.narrowed(low.value(b), low.magnitude(b), limits[1])
    left = emitter.reshape(x.tensor, shape_a if len(shape_a) > 1 else (1, *shape_a))
    right = emitter.reshape(y.tensor, shape_b if len(shape_b) > 1 else (*shape_b, 1))
    leading_a, leading_b = emitter.facts(left).shape[:-2], emitter.facts(right).shape[:-2]
    if leading_a != leading_b:
        common = np.broadcast_shapes(leading_a, leading_b)
        left = _broadcast(low, left, common)
        right = _broadcast(low, right, common) if leading_b else right
    turned, transpose_b = _untransposed(low, b, right)
    sums = emitter.node("matmul", left, turned, transpose_b=transpose_b, accumulator=DType.INT32)
    value = Value(sums, x.scale * y.scale, x.exact and y.exact)
    if len(node.inputs) > 2:
        bias = low.value(node.inputs[2])
        names = (node.outputs[0], node.inputs[2])
        value, bias = emitter.aligned([value, bias], [low.magnitude(name) for name in names], low.magnitude(names[0]))
        value = Value(emitter.binary("add", value.tensor, bias.tensor), value.scale)
    # Shares add up to 1, which bounds do not know: without this the result would seem to need all 32 bits.
    low.set(node.outputs[0], low.settled(node.outputs[0], value) if is_share(low, a) else value)


def _untransposed(low: Lowering, name: str, tensor: int) -> tuple[int, int]:
    """
    The second factor, transposed back where a Transpose of its last two dimensions alone made it.

    Rows that lie together are what kernels read fastest.
    """
    producer = low.producers.get(name)
    if producer is None or producer.operator != "Transpose":
        return tensor, 0
    order = tuple(producer.attributes.get("perm") or reversed(range(len(low.shape(name)))))
    rank = len(order)
    if rank < 2 or order[-1] == rank - 1:
        return tensor, 0
    # The order that leaves out the exchange of the last two dimensions is not slower, and saves one where it is all.
    return low.emitter.transpose(tensor, (*range(rank - 2), rank - 1, rank - 2)), 1


def _broadcast(low: Lowering, tensor: int, leading: tuple[int, ...]) -> int:
    shape = (*leading, *low.emitter.facts(tensor).shape[-2:])
    return tensor if low.emitter.facts(tensor).shape == shape else low.emitter.node("broadcast", tensor, shape=shape)


def is_share(low: Lowering, name: str) -> bool:
    """Whether a tensor is what softmax gave, perhaps moved."""
    for _ in range(8):
        producer = low.producers.get(name)
        if producer is None:
            return False
        if producer.operator == "Softmax":
            return True
        if producer.operator not in ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Dropout", "Identity", "Cast"):
            return False
        name = producer.inputs[0]
    return False


def _as_image(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A signal of (batch, channels, length) as an image of one row."""
    return (*shape[:2], 1, shape[2]) if len(shape) == 3 else shape


def _plane(values: list[int] | tuple[int, ...] | None, rank: int, default: int) -> tuple[int, ...]:
    """Two numbers for the two directions of a plane, of which a signal has only the second."""
    given = tuple(values or [default] * rank)
    return given if rank == 2 else (default, *given)


def _four_pads(pads: tuple[int, ...]) -> tuple[int, ...]:
    return pads if len(pads) == 4 else (0, pads[0], 0, pads[1])


def _conv(low: Lowering, node: FloatNode) -> None:
    emitter, name = low.emitter, node.inputs[0]
    weights = low.required(node, 1, "the filter")
    bias = low.optional(node, 2, "the bias")
    rank = weights.ndim - 2
    if rank not in (1, 2):
        raise node.unsupported(f"a convolution over {rank} dimensions; 1 and 2 are supported")
    unit = [1] * rank
    strides, dilations = node.attributes.get("strides") or unit, node.attributes.get("dilations") or unit
    shape = low.shape(name)
    pads = window_pads(shape[2:], weights.shape[2:], strides, dilations, node.attributes)
    terms = math.prod(weights.shape[1:])
    # Channels differ too much for one scale of 8 bits over all; 16 bits are left wherever the sum has the room.
    wide = low.options.activations == "int16" or _INT32_MAX // (_WEIGHT_MAX * terms) >= _WIDE_FACTOR
    macs = 0 if wide else math.prod(low.shape(node.outputs[0])) * terms
    factor, greatest, one = _factor(low, name, terms, macs, (shape[0], math.prod(shape[1:])))
    integers, scales = _quantised_weights(weights, bias, one)
    sums = emitter.node(
        "conv2d",
        emitter.reshape(factor, _as_image(shape)),
        emitter.constant(integers.reshape(_as_image(weights.shape)), DType.INT8),
        strides=_plane(strides, rank, 1),
        pads=_four_pads(pads),
        dilations=_plane(dilations, rank, 1),
        groups=node.attributes.get("group", 1),
        accumulator=_accumulator(low, factor, terms),
    )
    rows = None if greatest is None else emitter.reshape(greatest, (shape[0], 1, 1, 1))
    _finished(low, node.outputs[0], sums, rows, (scales * one).reshape(-1, 1, 1), bias)


def _pool_attributes(low: Lowering, node: FloatNode) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, strides and pads of a pool over a plane."""
    kernel, shape = node.attributes["kernel_shape"], low.shape(node.inputs[0])
    rank = len(kernel)
    dilations = node.attributes.get("dilations") or [1] * rank
    if rank not in (1, 2) or any(size != 1 for size in dilations):
        raise node.unsupported("only windows over 1 or 2 dimensions without dilation are supported")
    strides = node.attributes.get("strides") or [1] * rank
    pads = window_pads(shape[2:], kernel, strides, dilations, node.attributes)
    return _plane(kernel, rank, 1), _plane(strides, rank, 1), _four_pads(pads)


def _max_pool(low: Lowering, node: FloatNode) -> None:
    if len(node.outputs) > 1 and node.outputs[1]:
        raise node.unsupported("the places of the maxima are not supported")
    kernel, strides, pads = _pool_attributes(low, node)
    value = low.value(node.inputs[0])
    image = low.emitter.reshape(value.tensor, _as_image(low.shape(node.inputs[0])))
    tensor = low.emitter.node("max_pool2d", image, kernel=kernel, strides=strides, pads=pads)
    low.set(node.outputs[0], Value(tensor, value.scale, value.exact))


def _average_pool(low: Lowering, node: FloatNode) -> None:
    kernel, strides, pads = _pool_attributes(low, node)
    emitter, name = low.emitter, node.inputs[0]
    value = emitter.narrowed(low.value(name), low.magnitude(name))
    image = emitter.reshape(value.tensor, _as_image(low.shape(name)))
    sums = emitter.node("sum_pool2d", image, kernel=kernel, strides=strides, pads=pads, accumulator=DType.INT32)
    counts = _window_counts(low, node)
    if (counts == counts.flat[0]).all():
        low.set(node.outputs[0], Value(sums, value.scale / counts.flat[0]))
        return
    shape = emitter.facts(sums).shape
    tensor = emitter.rescaled(sums, 1 / counts.reshape(1, 1, *shape[2:]), DType.INT32)
    low.set(node.outputs[0], Value(tensor, value.scale))


def _window_counts(low: Lowering, node: FloatNode) -> Array:
    """How many elements each window's sum is divided by."""
    attributes = node.attributes
    kernel, places = attributes["kernel_shape"], low.shape(node.outputs[0])[2:]
    if attributes.get("count_include_pad", 0):
        if attributes.get("ceil_mode", 0):
            raise node.unsupported("padding that counts, together with rounding up, is not supported")
        return np.full(places, math.prod(kernel))
    shape = low.shape(node.inputs[0])[2:]
    strides = attributes.get("strides") or [1] * len(kernel)
    pads = list(window_pads(shape, kernel, strides, [1] * len(kernel), attributes))
    probe = FloatNode("Conv", ("", ""), ("",), {"pads": pads, "strides": strides})
    (counts,) = evaluate_node(probe, [np.ones((1, 1, *shape)), np.ones((1, 1, *kernel))])
    return np.asarray(counts[0, 0])


def _reduce_sum(low: Lowering, node: FloatNode) -> None:
    """ReduceSum and ReduceMean, which is a sum with another unit."""
    emitter, name = low.emitter, node.inputs[0]
    value, axes = low.value(name), low.axes(node)
    count = math.prod(low.shape(name)[axis] for axis in axes)
    if emitter.facts(value).magnitude * count > _INT32_MAX:
        value = emitter.narrowed(value, low.magnitude(name), max(NARROW_MAX, _INT32_MAX // count >> 2))
    tensor = value.tensor
    for axis in axes:
        wide = emitter.facts(tensor).magnitude * low.shape(name)[axis] > _INT32_MAX
        tensor = emitter.node("reduce_sum", tensor, axis=axis, accumulator=DType.INT64 if wide else DType.INT32)
    mean = node.operator == "ReduceMean" and count > 1
    low.set(node.outputs[0], Value(tensor, value.scale / (count if mean else 1), value.exact and not mean))


def _reduce_extreme(low: Lowering, node: FloatNode) -> None:
    emitter, value = low.emitter, low.value(node.inputs[0])
    tensor, least = value.tensor, node.operator == "ReduceMin"
    if least:
        tensor = emitter.binary("subtract", emitter.constant(np.zeros(1)), tensor)
    for axis in low.axes(node):
        tensor = emitter.node("reduce_max", tensor, axis=axis)
    if least:
        tensor = emitter.binary("subtract", emitter.constant(np.zeros(1)), tensor)
    low.set(node.outputs[0], Value(tensor, value.scale, value.exact))


LINEAR_RULES: Final[Mapping[str, Rule]] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "ReduceMax": _reduce_extreme,
    "ReduceMean": _reduce_sum,
    "ReduceMin": _reduce_extreme,
    "ReduceSum": _reduce_sum,
}
