"""Float kernels that add up: products, convolutions, pools, reductions, normalisations; the definitions are ONNX's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from metis.ai.quantise.float_elementwise import Kernel
from metis.ai.quantise.graph import Array

__all__ = ["LINEAR", "REDUCTIONS", "axes_of", "window_pads"]

Attributes = Mapping[str, Any]
Inputs = Sequence[Array | None]


def _given(inputs: Inputs, place: int) -> Array:
    value = inputs[place]
    assert value is not None  # noqa: S101 - a required input
    return value


def _optional(inputs: Inputs, place: int) -> Array | None:
    return inputs[place] if len(inputs) > place else None


def axes_of(inputs: Inputs, attributes: Attributes, place: int = 1) -> tuple[int, ...] | None:
    """Axes as an input (operator set 13 or 18 on) or as an attribute (before); None for all."""
    value = _optional(inputs, place)
    axes = attributes.get("axes") if value is None else value
    return None if axes is None else tuple(int(axis) for axis in np.asarray(axes).reshape(-1))


def _gemm(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    a, b = _given(inputs, 0), _given(inputs, 1)
    a = a.T if attributes.get("transA", 0) else a
    b = b.T if attributes.get("transB", 0) else b
    y = attributes.get("alpha", 1.0) * (a @ b)
    c = _optional(inputs, 2)
    if c is not None:
        y = y + attributes.get("beta", 1.0) * c
    return (np.asarray(y, a.dtype),)


def _matmul(inputs: Inputs, _: Attributes) -> tuple[Array, ...]:
    """The product; with a third operand, which ONNX's has not, a bias is added."""
    y, bias = np.asarray(_given(inputs, 0) @ _given(inputs, 1)), _optional(inputs, 2)
    return (y if bias is None else np.asarray(y + bias, y.dtype),)


def window_pads(
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    attributes: Attributes,
) -> tuple[int, ...]:
    """Pads of a window operator, all begins and then all ends, with ``auto_pad`` and ``ceil_mode`` worked out."""
    rank, auto = len(sizes), attributes.get("auto_pad", "NOTSET")
    pads = (
        [0] * (2 * rank)
        if auto in ("VALID", "SAME_UPPER", "SAME_LOWER")
        else list(attributes.get("pads") or [0] * 2 * rank)
    )
    for axis in range(rank):
        extent = (kernel[axis] - 1) * dilations[axis] + 1
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            out = -(-sizes[axis] // strides[axis])
            total = max(0, (out - 1) * strides[axis] + extent - sizes[axis])
            small, large = total // 2, total - total // 2
            pads[axis], pads[axis + rank] = (small, large) if auto == "SAME_UPPER" else (large, small)
        elif attributes.get("ceil_mode", 0):
            span = sizes[axis] + pads[axis] + pads[axis + rank] - extent
            count = -(-span // strides[axis]) + 1
            # A window that would begin beyond the image and its first padding is left out.
            if (count - 1) * strides[axis] >= sizes[axis] + pads[axis]:
                count -= 1
            pads[axis + rank] += max(0, (count - 1) * strides[axis] - span)
    return tuple(pads)


def _windows(x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Array:
    """All windows over the dimensions after the second: (batch, channels, places…, kernel…); a view."""
    rank = len(kernel)
    extents = tuple((size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, extents, axis=tuple(range(2, 2 + rank)))
    places = tuple(slice(None, None, stride) for stride in strides)
    return view[(slice(None), slice(None), *places, *(slice(None, None, dilation) for dilation in dilations))]


def _padded(x: Array, pads: Sequence[int], value: float) -> Array:
    rank = len(pads) // 2
    widths = [(0, 0), (0, 0), *((pads[axis], pads[axis + rank]) for axis in range(rank))]
    return np.pad(x, widths, constant_values=value) if any(pads) else x


def _conv(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, weights = _given(inputs, 0), _given(inputs, 1)
    kernel, rank, groups = weights.shape[2:], weights.ndim - 2, attributes.get("group", 1)
    strides = attributes.get("strides") or [1] * rank
    dilations = attributes.get("dilations") or [1] * rank
    windows = _windows(
        _padded(x, window_pads(x.shape[2:], kernel, strides, dilations, attributes), 0), kernel, strides, dilations
    )
    batch, places = x.shape[0], windows.shape[2 : 2 + rank]
    # (batch, groups, depth, places…, kernel…) → (groups, batch · places, depth · kernel)
    split = windows.reshape(batch, groups, x.shape[1] // groups, *windows.shape[2:])
    order = (1, 0, *range(3, 3 + rank), 2, *range(3 + rank, 3 + 2 * rank))
    columns = split.transpose(order).reshape(groups, batch * math.prod(places), -1)
    products = columns @ weights.reshape(groups, weights.shape[0] // groups, -1).transpose(0, 2, 1)
    y = products.reshape(groups, batch, *places, -1).transpose(1, 0, rank + 2, *range(2, 2 + rank))
    y = y.reshape(batch, weights.shape[0], *places)
    bias = _optional(inputs, 2)
    return (y if bias is None else y + bias.reshape(-1, *[1] * rank),)


def _pool_windows(x: Array, attributes: Attributes, fill: float) -> tuple[Array, tuple[int, ...]]:
    kernel = tuple(attributes["kernel_shape"])
    strides = attributes.get("strides") or [1] * len(kernel)
    dilations = attributes.get("dilations") or [1] * len(kernel)
    pads = window_pads(x.shape[2:], kernel, strides, dilations, attributes)
    return _windows(_padded(x, pads, fill), kernel, strides, dilations), tuple(range(-len(kernel), 0))


def _max_pool(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x = _given(inputs, 0)
    windows, axes = _pool_windows(x, attributes, -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
    return (windows.max(axis=axes),)


def _average_pool(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x = _given(inputs, 0)
    windows, axes = _pool_windows(x, attributes, 0)
    counted = np.ones_like(x)
    if attributes.get("count_include_pad", 0):
        # Padding counts, but not what only rounding up the number of windows adds.
        rank = x.ndim - 2
        exact = {**attributes, "ceil_mode": 0}
        kernel = tuple(attributes["kernel_shape"])
        unit = [1] * rank
        base = window_pads(
            x.shape[2:], kernel, attributes.get("strides") or unit, attributes.get("dilations") or unit, exact
        )
        counted = _padded(counted, base, 1)
        full = window_pads(
            x.shape[2:], kernel, attributes.get("strides") or unit, attributes.get("dilations") or unit, attributes
        )
        extra = [a - b for a, b in zip(full, base, strict=True)]
        attributes = {**attributes, "pads": extra, "auto_pad": "NOTSET", "ceil_mode": 0}
    counts, _ = _pool_windows(counted, attributes, 0)
    return (np.asarray(windows.sum(axis=axes) / counts.sum(axis=axes), x.dtype),)


def _normalised(x: Array, axes: tuple[int, ...], epsilon: float, *, center: bool) -> Array:
    deviation = x - x.mean(axis=axes, keepdims=True) if center else x
    return np.asarray(deviation / np.sqrt((deviation * deviation).mean(axis=axes, keepdims=True) + epsilon), x.dtype)


def _layer_normalization(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, scale, bias = _given(inputs, 0), _given(inputs, 1), _optional(inputs, 2)
    axis = attributes.get("axis", -1) % x.ndim
    y = _normalised(x, tuple(range(axis, x.ndim)), attributes.get("epsilon", 1e-5), center=True) * scale
    return (y if bias is None else y + bias,)


def _rms_normalization(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x = _given(inputs, 0)
    axis = attributes.get("axis", -1) % x.ndim
    y = _normalised(x, tuple(range(axis, x.ndim)), attributes.get("epsilon", 1e-5), center=False)
    return (y * _given(inputs, 1),)


def _channels(value: Array, rank: int) -> Array:
    return value.reshape(-1, *[1] * (rank - 2))


def _batch_normalization(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, scale, bias, mean, variance = (_given(inputs, place) for place in range(5))
    factor = scale / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    shift = bias - mean * factor
    return (np.asarray(x * _channels(factor, x.ndim) + _channels(shift, x.ndim), x.dtype),)


def _softmax(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, axis = _given(inputs, 0), attributes.get("axis", -1)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return (powers / powers.sum(axis=axis, keepdims=True),)


def _reduction(function: Callable[[Array, tuple[int, ...] | None, bool], Any]) -> Kernel:
    def kernel(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
        x, axes = _given(inputs, 0), axes_of(inputs, attributes)
        if not axes and attributes.get("noop_with_empty_axes", 0):
            return (x,)
        return (np.asarray(function(x, axes or None, bool(attributes.get("keepdims", 1))), x.dtype),)

    return kernel


def _arg(choose: Callable[..., Any]) -> Kernel:
    def kernel(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
        x, axis = _given(inputs, 0), attributes.get("axis", 0)
        if attributes.get("select_last_index", 0):
            places = x.shape[axis] - 1 - choose(np.flip(x, axis), axis=axis)
        else:
            places = choose(x, axis=axis)
        return (np.asarray(np.expand_dims(places, axis) if attributes.get("keepdims", 1) else places, np.int64),)

    return kernel


def _top_k(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, k, axis = _given(inputs, 0), int(_given(inputs, 1).reshape(-1)[0]), attributes.get("axis", -1)
    order = np.argsort(-x if attributes.get("largest", 1) else x, axis=axis, kind="stable")
    places = np.take(order, np.arange(k), axis=axis)
    return np.take_along_axis(x, places, axis=axis), np.asarray(places, np.int64)


def _cumulative_sum(inputs: Inputs, attributes: Attributes) -> tuple[Array, ...]:
    x, axis = _given(inputs, 0), int(_given(inputs, 1).reshape(-1)[0])
    flip = bool(attributes.get("reverse", 0))
    sums = np.cumsum(np.flip(x, axis) if flip else x, axis=axis, dtype=x.dtype)
    if attributes.get("exclusive", 0):
        sums = sums - (np.flip(x, axis) if flip else x)
    return (np.flip(sums, axis) if flip else sums,)


REDUCTIONS: Final[Mapping[str, Kernel]] = {
    "ReduceL1": _reduction(lambda x, axes, keep: np.abs(x).sum(axis=axes, keepdims=keep)),
    "ReduceL2": _reduction(lambda x, axes, keep: np.sqrt((x * x).sum(axis=axes, keepdims=keep))),
    "ReduceMax": _reduction(lambda x, axes, keep: x.max(axis=axes, keepdims=keep)),
    "ReduceMean": _reduction(lambda x, axes, keep: x.mean(axis=axes, keepdims=keep)),
    "ReduceMin": _reduction(lambda x, axes, keep: x.min(axis=axes, keepdims=keep)),
    "ReduceProd": _reduction(lambda x, axes, keep: x.prod(axis=axes, keepdims=keep)),
    "ReduceSum": _reduction(lambda x, axes, keep: x.sum(axis=axes, keepdims=keep)),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: (x * x).sum(axis=axes, keepdims=keep)),
}

LINEAR: Final[Mapping[str, Kernel]] = {
    **REDUCTIONS,
    "ArgMax": _arg(np.argmax),
    "ArgMin": _arg(np.argmin),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Conv": _conv,
    "CumSum": _cumulative_sum,
    "Gemm": _gemm,
    "LayerNormalization": _layer_normalization,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "RMSNormalization": _rms_normalization,
    "Softmax": _softmax,
    "TopK": _top_k,
}
