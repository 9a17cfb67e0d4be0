"""
The network and its training, in plain numpy.

Two convolutions with ReLU, the second on the halved image, and a dense layer: 8 × 8 grey values → ten scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Array", "Weights", "exported", "scores", "trained"]

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]

_FILTERS = (16, 32)
_CLASSES = 10
_EPOCHS, _BATCH, _RATE = 20, 32, 1e-2


def _columns(x: Array) -> Array:
    """Windows of 3 × 3 with padding: (images, height, width, channels · 9)."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(*windows.shape[:1], *x.shape[2:], -1)


def _image(columns: Array, channels: int) -> Array:
    """The sum of windows at their places: what :func:`_columns` undoes, for gradients."""
    count, height, width, _ = columns.shape
    parts = columns.reshape(count, height, width, channels, 3, 3)
    padded = np.zeros((count, channels, height + 2, width + 2), columns.dtype)
    for row in range(3):
        for column in range(3):
            padded[:, :, row : row + height, column : column + width] += parts[..., row, column].transpose(0, 3, 1, 2)
    return padded[:, :, 1:-1, 1:-1]


def _halved(x: Array) -> tuple[Array, Array]:
    """Means of 2 × 2, and what gives the gradient back."""
    count, channels, height, width = x.shape
    return x.reshape(count, channels, height // 2, 2, width // 2, 2).mean(axis=(3, 5)), np.asarray(x.shape)


def _forward(weights: Weights, images: Array) -> tuple[Array, list[Array]]:
    first = _columns(images)
    a = np.maximum(first @ weights["w1"] + weights["b1"], 0)
    second = _columns(_halved(a.transpose(0, 3, 1, 2))[0])
    b = np.maximum(second @ weights["w2"] + weights["b2"], 0)
    flat = _halved(b.transpose(0, 3, 1, 2))[0].reshape(len(images), -1)
    return flat @ weights["w3"] + weights["b3"], [first, a, second, b, flat]


def _gradients(weights: Weights, images: Array, labels: Array) -> dict[str, Array]:
    out, (first, a, second, b, flat) = _forward(weights, images)
    shares = np.exp(out - out.max(axis=1, keepdims=True))
    error = shares / shares.sum(axis=1, keepdims=True)
    error[np.arange(len(labels)), labels] -= 1
    error /= len(labels)
    back = (error @ weights["w3"].T).reshape(len(images), _FILTERS[1], 2, 2)
    db = (np.repeat(np.repeat(back, 2, axis=2), 2, axis=3) / 4).transpose(0, 2, 3, 1) * (b > 0)
    pooled = _image(db @ weights["w2"].T, _FILTERS[0])
    da = (np.repeat(np.repeat(pooled, 2, axis=2), 2, axis=3) / 4).transpose(0, 2, 3, 1) * (a > 0)

    def product(x: Array, y: Array) -> Array:
        return np.asarray(x.reshape(-1, x.shape[-1]).T @ y.reshape(-1, y.shape[-1]))

    return {
        "w1": product(first, da),
        "b1": da.sum(axis=(0, 1, 2)),
        "w2": product(second, db),
        "b2": db.sum(axis=(0, 1, 2)),
        "w3": product(flat, error),
        "b3": error.sum(axis=0),
    }


def trained(images: Array, labels: Array, seed: int = 0) -> dict[str, Array]:
    """
    Weights after some epochs of Adam.

    Parameters
    ----------
    images : (images, 1, 8, 8), grey values from 0 to 1. labels : 0 to 9.
    """
    random = np.random.default_rng(seed)
    shapes = {"w1": (9, _FILTERS[0]), "w2": (9 * _FILTERS[0], _FILTERS[1]), "w3": (4 * _FILTERS[1], _CLASSES)}
    weights: dict[str, Array] = {}
    for name, shape in shapes.items():
        weights[name] = random.normal(0, (2 / shape[0]) ** 0.5, shape).astype(np.float32)
        weights[f"b{name[1]}"] = np.zeros(shape[1], np.float32)
    mean = {name: np.zeros_like(value) for name, value in weights.items()}
    square = {name: np.zeros_like(value) for name, value in weights.items()}
    step = 0
    for epoch in range(_EPOCHS):
        rate = _RATE * (1 - epoch / _EPOCHS)
        order = random.permutation(len(images))
        for begin in range(0, len(images), _BATCH):
            chosen = order[begin : begin + _BATCH]
            step += 1
            for name, gradient in _gradients(weights, images[chosen], labels[chosen]).items():
                mean[name] = 0.9 * mean[name] + 0.1 * gradient
                square[name] = 0.999 * square[name] + 0.001 * gradient * gradient
                change = mean[name] / (1 - 0.9**step) / (np.sqrt(square[name] / (1 - 0.999**step)) + 1e-8)
                weights[name] = (weights[name] - rate * change).astype(np.float32)
    return weights


def scores(weights: Weights, images: Array) -> Array:
    """What the float network says: (images, 10)."""
    return _forward(weights, images)[0]


def exported(weights: Weights) -> onnx.ModelProto:
    """The network in ONNX, for one image at a time or many."""

    def filters(value: Array, depth: int) -> Array:
        return np.ascontiguousarray(value.T.reshape(-1, depth, 3, 3))

    tensors = {
        "w1": filters(weights["w1"], 1),
        "w2": filters(weights["w2"], _FILTERS[0]),
        **{name: weights[name] for name in ("b1", "b2", "w3", "b3")},
    }
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "c1", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "r1"),
        helper.make_node("AveragePool", ["r1"], ["p1"], "p1", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"], "c2", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], ["r2"], "r2"),
        helper.make_node("AveragePool", ["r2"], ["p2"], "p2", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p2"], ["flat"], "flat", axis=1),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["scores"], "scores"),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", _CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
