"""
Models that are measured beside onnxruntime: made as ONNX with random weights, then run as they are, quantised by
onnxruntime, and quantised by us.

Weights decide nothing about speed, shapes do: the encoder has those of all-MiniLM-L6-v2 (6 layers of 384 in 12 heads,
1,536 between them) with fewer words; the classifier those of a small network for 8 × 8 images.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from metis.ai.engine import Evaluator
from metis.ai.graph import Model
from metis.ai.quantise.source import quantise_file
from metis.ai.receipt import traces_root
from metis.ai.runs import Tensor
from metis.ai.trace import path_of, points_of, step_of
from metis.ai.verify import OperatorCheck
from metis.ai.verify.document import Opening
from metis.ai.verify.verdict import check_opening

__all__ = ["WORKLOADS", "contenders"]

_LAYERS, _WIDTH, _HEADS, _BETWEEN, _WORDS = 6, 384, 12, 1536, 1000

Feeds = dict[str, np.ndarray[Any, Any]]


class _Maker:
    """Nodes and constants of an ONNX graph."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weights(self, *shape: int, spread: float = 0.05) -> str:
        return self.constant(self.random.normal(0, spread, shape))

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def linear(self, x: str, inner: int, columns: int) -> str:
        return self.node("Add", self.node("MatMul", x, self.weights(inner, columns)), self.weights(columns))

    def norm(self, x: str) -> str:
        ones, zeros = self.constant(np.ones(_WIDTH)), self.constant(np.zeros(_WIDTH))
        return self.node("LayerNormalization", x, ones, zeros, axis=-1, epsilon=1e-12)

    def model(self, inputs: list[onnx.ValueInfoProto], result: str, shape: list[int]) -> onnx.ModelProto:
        self.nodes.append(helper.make_node("Identity", [result], ["y"]))
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "measured", inputs, [output], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        return model


def _encoder(tokens: int) -> tuple[onnx.ModelProto, Feeds]:
    """A BERT encoder after its embeddings are looked up, as exporters write it."""
    make = _Maker()
    deep = _WIDTH // _HEADS
    heads = make.constant([1, tokens, _HEADS, deep], np.int64)
    flat = make.constant([1, tokens, _WIDTH], np.int64)
    x = make.norm(make.node("Gather", make.weights(_WORDS, _WIDTH, spread=1.0), "ids"))
    for _ in range(_LAYERS):
        orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        q, k, v = (
            make.node("Transpose", make.node("Reshape", make.linear(x, _WIDTH, _WIDTH), heads), perm=order)
            for order in orders
        )
        scores = make.node("Div", make.node("MatMul", q, k), make.constant(np.sqrt(deep)))
        mixed = make.node("MatMul", make.node("Softmax", scores, axis=-1), v)
        joined = make.node("Reshape", make.node("Transpose", mixed, perm=[0, 2, 1, 3]), flat)
        x = make.norm(make.node("Add", x, make.linear(joined, _WIDTH, _WIDTH)))
        wide = make.linear(x, _WIDTH, _BETWEEN)
        error = make.node("Erf", make.node("Div", wide, make.constant(np.sqrt(2))))
        gelu = make.node("Mul", make.node("Mul", wide, make.node("Add", error, make.constant(1))), make.constant(0.5))
        x = make.norm(make.node("Add", x, make.linear(gelu, _BETWEEN, _WIDTH)))
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [1, tokens])
    samples = make.random.integers(0, _WORDS, (4, tokens))
    return make.model([ids], x, [1, tokens, _WIDTH]), {"ids": samples.astype(np.int64)}


def _classifier() -> tuple[onnx.ModelProto, Feeds]:
    """Two convolutions with pools and a linear layer, for images of handwritten digits."""
    make = _Maker()
    x = "image"
    for channels, filters in ((1, 16), (16, 32)):
        weights = make.weights(filters, channels, 3, 3, spread=0.3)
        x = make.node("Relu", make.node("Conv", x, weights, make.weights(filters), pads=[1, 1, 1, 1]))
        x = make.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = make.linear(make.node("Reshape", x, make.constant([1, 128], np.int64)), 128, 10)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])
    samples = make.random.uniform(0, 16, (16, 1, 8, 8))
    return make.model([image], x, [1, 10]), {"image": samples.astype(np.float32)}


def _check(model: Model, evaluator: Evaluator, tensors: Mapping[str, Tensor]) -> Callable[[], object]:
    """The check of one operator that has a single product, opened as a worker opens it."""
    points = points_of(evaluator.proven)
    steps = [step_of(model.graph, points, point) for point in points]
    chosen = next(step.point for step in steps if len(step.products) == 1)
    check = OperatorCheck(model, chosen)
    traced = evaluator.run_traced(tensors, wanted=check.operands)
    leaves, root = traced.trace.commitments, traced.trace.root
    elements = {number: value.tobytes() for number, value in traced.values.items()}
    paths = {number: tuple(path_of(leaves, points.index(number))) for number in (*elements, chosen)}
    opening = Opening(
        0,
        root,
        (),
        chosen,
        leaves[points.index(chosen)],
        paths[chosen],
        {number: (raw, paths[number]) for number, raw in elements.items()},
        check.witness(elements),
    )
    trace = traces_root([root])
    return lambda: check_opening(check, trace, 1, opening)


WORKLOADS: Final[dict[str, Callable[[], tuple[onnx.ModelProto, Feeds]]]] = {
    "MiniLM, 32 tokens": lambda: _encoder(32),
    "MiniLM, 128 tokens": lambda: _encoder(128),
    "digits": _classifier,
}


def contenders(name: str, folder: Path, threads: int) -> dict[str, Callable[[], object]]:
    """
    One run of a workload by each contender: "metis", "metis_traced", "onnxruntime_float", "onnxruntime_int8"; and
    "check", of one operator of the traced run, its Merkle paths included.

    Parameters
    ----------
    folder : where models are written.

    Raises
    ------
    ImportError : onnxruntime is not installed.
    """
    runtime: Any = importlib.import_module("onnxruntime")
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    model, samples = WORKLOADS[name]()
    source, dynamic, calibration = folder / "float.onnx", folder / "int8.onnx", folder / "samples.npz"
    onnx.save(model, source)
    np.savez(calibration, **samples)  # type: ignore[arg-type]
    quantization.quantize_dynamic(source, dynamic, per_channel=True)
    made = quantise_file(source, calibration).file
    evaluator = Evaluator(made.model, threads=threads)
    graph = made.graph
    # What the integer model is given is quantised before: times are of models alone.
    tensors = {
        tensor.name: np.full(tensor.shape, (tensor.lo + tensor.hi) // 2, np.int64).astype(f"i{tensor.dtype.size_bytes}")
        for tensor in graph.inputs
    }

    def session(path: Path) -> Callable[[], object]:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        opened = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feeds = {key: value[:1] for key, value in samples.items()}
        return lambda: opened.run(None, feeds)

    return {
        "metis": lambda: evaluator.run(tensors),
        "metis_traced": lambda: evaluator.run_traced(tensors),
        "check": _check(made.model, evaluator, tensors),
        "onnxruntime_float": session(source),
        "onnxruntime_int8": session(dynamic),
    }
