"""The models: each a function that gives a model and a maker of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.ai_models.spelling import Array, Writer

Inputs = Callable[[int], dict[str, Array]]
Case = tuple[onnx.ModelProto, Inputs]


def _floats(name: str, *shape: int, seed: int = 5, scale: float = 1.0) -> Inputs:
    return lambda count: {name: np.random.default_rng(seed).normal(0, scale, (count, *shape)).astype(np.float32)}


def _tokens(count: int, length: int, words: int) -> dict[str, Array]:
    random = np.random.default_rng(9)
    lengths = random.integers(length // 3, length + 1, count)
    mask = (np.arange(length) < lengths[:, None]).astype(np.int64)
    return {"input_ids": random.integers(0, words, (count, length)) * mask, "attention_mask": mask}


def mlp_torch() -> Case:
    w = Writer(1)
    x = w.input("input", ["batch", 20])
    x = w.node("Relu", w.node("Gemm", x, w.normal(64, 20, scale=0.3), w.normal(64), alpha=1.0, beta=1.0, transB=1))
    x = w.node("Gemm", x, w.normal(5, 64, scale=0.2), w.normal(5), transB=1)
    return w.model(w.node("Softmax", x, axis=1)), _floats("input", 20)


def mlp_wide() -> Case:
    w = Writer(2)
    x = w.input("x", ["N", 256])
    for width in (512, 512):
        x = w.node(
            "Add", w.node("MatMul", x, w.normal(256 if width == 512 and not w.nodes else 512, width)), w.normal(width)
        )
        x = w.gelu_erf(x)
    return w.model(w.node("Add", w.node("MatMul", x, w.normal(512, 10)), w.normal(10))), _floats("x", 256)


def _batch_norm(w: Writer, x: str, channels: int) -> str:
    random = w.random
    parts = [
        random.uniform(0.5, 1.5, channels),
        random.normal(0, 0.2, channels),
        random.normal(0, 0.2, channels),
        random.uniform(0.5, 2, channels),
    ]
    return str(w.node("BatchNormalization", x, *(w.weight(part.astype(np.float32)) for part in parts), epsilon=1e-5))


def cnn_torch() -> Case:
    w = Writer(3)
    x = w.input("input", ["batch_size", 3, 16, 16])
    for depth, filters, stride in ((3, 16, 1), (16, 32, 2)):
        x = w.node(
            "Conv",
            x,
            w.weight(w.random.normal(0, (depth * 9) ** -0.5, (filters, depth, 3, 3)).astype(np.float32)),
            w.normal(filters),
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
            strides=[stride, stride],
            dilations=[1, 1],
            group=1,
        )
        x = w.node("Relu", _batch_norm(w, x, filters))
    x = w.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0], ceil_mode=0)
    x = w.node("Flatten", x, axis=1)
    return w.model(w.node("Gemm", x, w.normal(10, 512, scale=0.05), w.normal(10), transB=1)), _floats(
        "input", 3, 16, 16
    )


def mobile_block() -> Case:
    """Depthwise convolutions, hard swish, squeeze and excite, global pooling."""
    w = Writer(4)
    x = w.input("images", ["b", 3, 24, 24])
    x = w.node(
        "HardSwish",
        _batch_norm(
            w,
            w.node(
                "Conv",
                x,
                w.weight(w.random.normal(0, 0.2, (16, 3, 3, 3)).astype(np.float32)),
                kernel_shape=[3, 3],
                pads=[1, 1, 1, 1],
                strides=[2, 2],
            ),
            16,
        ),
    )
    y = w.node(
        "Conv",
        x,
        w.weight(w.random.normal(0, 0.3, (16, 1, 3, 3)).astype(np.float32)),
        w.normal(16),
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
        group=16,
    )
    y = w.node("Clip", y, w.f(0), w.f(6))
    s = w.node(
        "Conv",
        w.node("GlobalAveragePool", y),
        w.weight(w.random.normal(0, 0.3, (16, 16, 1, 1)).astype(np.float32)),
        w.normal(16),
    )
    y = w.node("Mul", y, w.node("HardSigmoid", s, alpha=1 / 6, beta=0.5))
    y = w.node(
        "Add", x, w.node("Conv", y, w.weight(w.random.normal(0, 0.3, (16, 16, 1, 1)).astype(np.float32)), w.normal(16))
    )
    y = w.node("AveragePool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = w.node("Mul", y, w.node("Sigmoid", y))
    y = w.node("ReduceMean", y, axes=[2, 3], keepdims=0)
    return w.model(w.node("Gemm", y, w.normal(7, 16, scale=0.3), w.normal(7), transB=1)), _floats("images", 3, 24, 24)


def conv1d() -> Case:
    w = Writer(5)
    x = w.input("signal", ["batch", 2, "time"])
    x = w.node(
        "Conv",
        x,
        w.weight(w.random.normal(0, 0.3, (8, 2, 5)).astype(np.float32)),
        w.normal(8),
        kernel_shape=[5],
        pads=[2, 2],
        strides=[2],
    )
    x = w.node("LeakyRelu", x, alpha=0.1)
    x = w.node("MaxPool", x, kernel_shape=[2], strides=[2])
    x = w.node("Transpose", x, perm=[0, 2, 1])
    x = w.node("MatMul", x, w.normal(8, 12))
    return w.model(w.node("ReduceMax", w.node("Tanh", x), axes=[1], keepdims=0)), _floats("signal", 2, 40)


def _recurrent(operator: str, gates: int, direction: str = "forward", extra: dict[str, Any] | None = None) -> Case:
    """As torch.onnx writes a layer that takes the batch first: transposed, with initial states made from the shape."""
    w = Writer(6)
    sides, size, width = (2 if direction == "bidirectional" else 1), 24, 10
    x = w.input("input", ["batch", "steps", width])
    batch = w.node("Gather", w.node("Shape", x), w.weight(np.asarray(0, np.int64)), axis=0)
    shape = w.node("Concat", w.i(sides), w.node("Unsqueeze", batch, w.i(0)), w.i(size), axis=0)
    zero = w.node("Expand", w.weight(np.zeros((1, 1, 1), np.float32)), shape)
    layers = [w.weight(w.random.uniform(-0.3, 0.3, (sides, gates * size, n)).astype(np.float32)) for n in (width, size)]
    bias = w.weight(w.random.uniform(-0.3, 0.3, (sides, 2 * gates * size)).astype(np.float32))
    states = [zero, zero] if operator == "LSTM" else [zero]
    turned = w.node("Transpose", x, perm=[1, 0, 2])
    y, *_ = w.node(
        operator,
        turned,
        *layers,
        bias,
        "",
        *states,
        count=3 if operator == "LSTM" else 2,
        hidden_size=size,
        direction=direction,
        **(extra or {}),
    )
    y = w.node("Transpose", y, perm=[2, 0, 1, 3])
    y = w.node("Reshape", y, w.i(0, 0, -1))
    last = w.node("Gather", y, w.weight(np.asarray(-1, np.int64)), axis=1)
    return w.model(w.node("Gemm", last, w.normal(4, sides * size, scale=0.3), w.normal(4), transB=1), y), _floats(
        "input", 12, width
    )


def lstm() -> Case:
    return _recurrent("LSTM", 4)


def lstm_both_ways() -> Case:
    return _recurrent("LSTM", 4, "bidirectional")


def gru() -> Case:
    return _recurrent("GRU", 3, extra={"linear_before_reset": 1})


def gru_keras() -> Case:
    return _recurrent("GRU", 3)


def rnn() -> Case:
    return _recurrent("RNN", 1)


def _attention(w: Writer, x: str, width: int, heads: int, hide: str | None) -> str:
    parts = []
    for order in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
        y = w.node("Add", w.normal(width, scale=0.1), w.node("MatMul", x, w.normal(width, width)))
        y = w.node("Reshape", y, w.i(0, 0, heads, width // heads))
        parts.append(w.node("Transpose", y, perm=order))
    scores = w.node("Div", w.node("MatMul", parts[0], parts[1]), w.f((width / heads) ** 0.5))
    if hide:
        scores = w.node("Add", scores, hide)
    shares = w.node("Softmax", scores, axis=-1)
    if hide:
        # torch.onnx does so for rows in which everything is masked.
        shares = w.node("Where", w.node("IsNaN", shares), w.f(0), shares)
    context = w.node("MatMul", shares, parts[2])
    context = w.node("Reshape", w.node("Transpose", context, perm=[0, 2, 1, 3]), w.i(0, 0, width))
    return str(w.node("Add", w.node("MatMul", context, w.normal(width, width)), w.normal(width)))


def encoder_torch() -> Case:
    """A text encoder in primitives, as torch.onnx wrote BERT, mean pooling and normalisation included."""
    w, width = Writer(7), 32
    ids = w.input("input_ids", ["batch", "sequence"], TensorProto.INT64)
    mask = w.input("attention_mask", ["batch", "sequence"], TensorProto.INT64)
    length = w.node("Gather", w.node("Shape", ids), w.weight(np.asarray(1, np.int64)), axis=0)
    places = w.node("Slice", w.weight(np.arange(64)[None]), w.i(0), w.node("Unsqueeze", length, w.i(0)), w.i(1), w.i(1))
    x = w.node(
        "Add",
        w.node("Gather", w.normal(100, width, scale=1.0), ids),
        w.node("Gather", w.normal(64, width, scale=0.5), places),
    )
    x = w.layer_norm(x, width)
    wide = w.node("Unsqueeze", w.node("Unsqueeze", mask, w.i(1)), w.i(2))
    hide = w.node("Mul", w.node("Sub", w.f(1), w.node("Cast", wide, to=1)), w.f(float(np.finfo(np.float32).min)))
    for _ in range(2):
        x = w.layer_norm(w.node("Add", _attention(w, x, width, 4, hide), x), width)
        y = w.gelu_erf(w.node("Add", w.node("MatMul", x, w.normal(width, 64)), w.normal(64)))
        x = w.layer_norm(
            w.node("Add", w.node("Add", w.node("MatMul", y, w.normal(64, width)), w.normal(width)), x), width
        )
    real = w.node("Cast", w.node("Expand", w.node("Unsqueeze", mask, w.i(-1)), w.node("Shape", x)), to=1)
    total = w.node("ReduceSum", w.node("Mul", x, real), w.i(1), keepdims=0)
    pooled = w.node("Div", total, w.node("Clip", w.node("ReduceSum", real, w.i(1), keepdims=0), w.f(1e-9)))
    norm = w.node("Clip", w.node("ReduceL2", pooled, axes=[1], keepdims=1), w.f(1e-12))
    unit = w.node("Div", pooled, w.node("Expand", norm, w.node("Shape", pooled)))
    return w.model(x, unit), lambda count: _tokens(count, 16, 100)


def vision_transformer() -> Case:
    w, width = Writer(8), 32
    x = w.input("pixel_values", ["batch", 3, 16, 16])
    x = w.node(
        "Conv",
        x,
        w.weight(w.random.normal(0, 0.15, (width, 3, 4, 4)).astype(np.float32)),
        w.normal(width),
        kernel_shape=[4, 4],
        strides=[4, 4],
    )
    shape = w.node("Shape", x)
    sizes = w.node("Concat", w.node("Slice", shape, w.i(0), w.i(2), w.i(0)), w.i(-1), axis=0)
    x = w.node("Transpose", w.node("Reshape", x, sizes), perm=[0, 2, 1])
    batch = w.node("Gather", shape, w.i(0), axis=0)
    token = w.node("Expand", w.normal(1, 1, width, scale=0.5), w.node("Concat", batch, w.i(1, 1), axis=0))
    x = w.node("Add", w.node("Concat", token, x, axis=1), w.normal(1, 17, width, scale=0.3))
    for _ in range(2):
        x = w.node("Add", x, _attention(w, w.layer_norm_tf(x, width), width, 4, None))
        y = w.node("Add", w.node("MatMul", w.layer_norm(x, width), w.normal(width, 64)), w.normal(64))
        y = w.gelu_tanh(y)
        x = w.node("Add", x, w.node("Add", w.node("MatMul", y, w.normal(64, width)), w.normal(width)))
    first = w.node("Gather", w.layer_norm(x, width), w.weight(np.asarray(0, np.int64)), axis=1)
    return w.model(w.node("Gemm", first, w.normal(6, width, scale=0.2), w.normal(6), transB=1)), _floats(
        "pixel_values", 3, 16, 16
    )


def decoder() -> Case:
    """Causal attention, its mask a triangle that the graph makes; the last logits, the best, the top three."""
    w, width, length = Writer(9), 32, 10
    ids = w.input("input_ids", ["batch", length], TensorProto.INT64)
    table = w.normal(50, width, scale=0.6)
    x = w.node("Add", w.node("Gather", table, ids), w.normal(length, width, scale=0.3))
    causal = w.node(
        "Trilu",
        w.node("ConstantOfShape", w.i(length, length), value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])),
        upper=0,
    )
    kept = w.node("Unsqueeze", w.node("Equal", causal, w.f(1)), w.i(0, 1))
    hide = w.node("Where", kept, w.f(0), w.f(-np.inf))
    for _ in range(2):
        x = w.node("Add", x, _attention(w, w.layer_norm(x, width), width, 4, hide))
        y = w.node("MatMul", w.layer_norm(x, width), w.normal(width, 64))
        y = w.node("Mul", y, w.node("Sigmoid", y))
        x = w.node("Add", x, w.node("MatMul", y, w.normal(64, width)))
    logits = w.node("MatMul", w.layer_norm(x, width), w.node("Transpose", table, perm=[1, 0]))
    last = w.node("Squeeze", w.node("Slice", logits, w.i(-1), w.i(2**63 - 1), w.i(1)), w.i(1))
    best = w.node("ArgMax", last, axis=-1, keepdims=0)
    values, _ = w.node("TopK", last, w.i(3), count=2, axis=-1)
    return w.model(last, best, values, kinds={best: TensorProto.INT64}), lambda count: {
        "input_ids": np.random.default_rng(3).integers(0, 50, (count, length))
    }


def one_hot() -> Case:
    """An embedding as a product with one-hot rows, once by OneHot and once by Equal."""
    w = Writer(10)
    ids = w.input("ids", ["batch", 6], TensorProto.INT64)
    hot = w.node("OneHot", ids, w.weight(np.asarray(30, np.int64)), w.weight(np.asarray([0, 1], np.float32)), axis=-1)
    x = w.node("MatMul", hot, w.normal(30, 16, scale=0.7))
    same = w.node("Cast", w.node("Equal", w.node("Unsqueeze", ids, w.i(-1)), w.weight(np.arange(30))), to=1)
    y = w.node("MatMul", same, w.normal(30, 16, scale=0.7))
    return w.model(w.node("ReduceMean", w.node("Mul", x, y), axes=[1], keepdims=0)), lambda count: {
        "ids": np.random.default_rng(4).integers(0, 30, (count, 6))
    }


def two_inputs() -> Case:
    """Two inputs of other shapes, joined, with comparisons and a choice."""
    w = Writer(11)
    a, b = w.input("left", ["batch", 8]), w.input("right", ["batch", 4])
    x = w.node("Concat", a, w.node("Mul", b, w.f(2.5)), axis=1)
    x = w.node("Where", w.node("Greater", x, w.f(0.25)), x, w.node("Mul", x, w.f(-0.5)))
    x = w.node("Div", x, w.node("Add", w.node("ReduceSum", w.node("Abs", x), w.i(1), keepdims=1), w.f(1)))
    x = w.node("Gemm", x, w.normal(12, 6), w.normal(6))
    parts = w.node("Split", x, w.i(2, 4), count=2, axis=1)
    joined = w.node("Concat", w.node("Exp", parts[0]), w.node("Softplus", parts[1]), axis=1)
    random = np.random.default_rng(6)
    return w.model(w.node("Max", joined, w.f(0.5))), lambda count: {
        "left": random.normal(0, 1, (count, 8)).astype(np.float32),
        "right": random.normal(0, 2, (count, 4)).astype(np.float32),
    }


def upscaler() -> Case:
    """Nearest neighbours, padding, pixel shuffle, group normalisation."""
    w = Writer(12)
    x = w.input("x", [1, 4, 8, 8])
    x = w.node("Pad", x, w.i(0, 0, 1, 1, 0, 0, 1, 1), w.f(0), mode="constant")
    x = w.node("Conv", x, w.weight(w.random.normal(0, 0.2, (8, 4, 3, 3)).astype(np.float32)), w.normal(8))
    x = w.node(
        "InstanceNormalization", x, w.weight(w.random.uniform(0.5, 1.5, 8).astype(np.float32)), w.normal(8, scale=0.2)
    )
    x = w.node("Elu", x)
    x = w.node(
        "Resize",
        x,
        "",
        w.weight(np.asarray([1, 1, 2, 2], np.float32)),
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )
    x = w.node("DepthToSpace", x, blocksize=2, mode="CRD")
    return w.model(w.node("PRelu", x, w.weight(np.asarray([[[0.1]], [[0.3]]], np.float32)))), _floats("x", 4, 8, 8)


ZOO: Mapping[str, Callable[[], Case]] = {
    function.__name__: function
    for function in (
        mlp_torch,
        mlp_wide,
        cnn_torch,
        mobile_block,
        conv1d,
        lstm,
        lstm_both_ways,
        gru,
        gru_keras,
        rnn,
        encoder_torch,
        vision_transformer,
        decoder,
        one_hot,
        two_inputs,
        upscaler,
    )
}
