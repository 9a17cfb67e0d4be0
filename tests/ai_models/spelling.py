"""Writing ONNX models node by node."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
OPSET = 17


class Writer:
    """Collects nodes and weights; names are made up, as exporters make them up."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def weight(self, value: Any, name: str = "") -> str:
        name = name or f"onnx::w_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def normal(self, *shape: int, scale: float | None = None) -> str:
        fan = int(np.prod(shape[:-1])) if len(shape) > 1 else 10
        return self.weight(self.random.normal(0, scale or fan**-0.5, shape).astype(np.float32))

    def f(self, value: float) -> str:
        return self.weight(np.float32(value))

    def i(self, *values: int) -> str:
        return self.weight(np.asarray(values, np.int64))

    def node(self, operator: str, *inputs: str, count: int = 1, domain: str = "", **attributes: Any) -> Any:
        outputs = [f"/{operator}_{len(self.nodes)}_output_{place}" for place in range(count)]
        self.nodes.append(
            helper.make_node(
                operator, list(inputs), outputs, f"/{operator}_{len(self.nodes)}", domain=domain, **attributes
            )
        )
        return outputs[0] if count == 1 else outputs

    def model(
        self, *outputs: str, opset: int = OPSET, kinds: dict[str, int] | None = None, extra: tuple[Any, ...] = ()
    ) -> onnx.ModelProto:
        given = [
            helper.make_tensor_value_info(name, (kinds or {}).get(name, TensorProto.FLOAT), None) for name in outputs
        ]
        graph = helper.make_graph(self.nodes, "main_graph", self.inputs, given, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), *extra])
        model.ir_version = 8
        return model

    # Spellings.

    def gelu_erf(self, x: str) -> Any:
        inner = self.node("Erf", self.node("Div", x, self.f(2**0.5)))
        return self.node("Mul", self.node("Mul", x, self.node("Add", inner, self.f(1))), self.f(0.5))

    def gelu_tanh(self, x: str) -> Any:
        cube = self.node("Mul", self.node("Pow", x, self.f(3)), self.f(0.044715))
        inner = self.node("Tanh", self.node("Mul", self.node("Add", x, cube), self.f(0.7978845608)))
        return self.node("Mul", self.node("Mul", self.f(0.5), x), self.node("Add", self.f(1), inner))

    def layer_norm(self, x: str, width: int) -> Any:
        """As torch.onnx writes it before operator set 17."""
        centred = self.node("Sub", x, self.node("ReduceMean", x, axes=[-1]))
        variance = self.node("ReduceMean", self.node("Pow", centred, self.f(2)), axes=[-1])
        root = self.node("Sqrt", self.node("Add", variance, self.f(1e-5)))
        scaled = self.node(
            "Mul", self.node("Div", centred, root), self.weight(self.random.uniform(0.5, 1.5, width).astype(np.float32))
        )
        return self.node("Add", scaled, self.normal(width, scale=0.1))

    def layer_norm_tf(self, x: str, width: int) -> Any:
        """As tf2onnx writes Keras' layer."""
        mean = self.node("ReduceMean", x, axes=[-1], keepdims=1)
        difference = self.node("Sub", x, mean)
        variance = self.node("ReduceMean", self.node("Mul", difference, difference), axes=[-1], keepdims=1)
        inverse = self.node("Reciprocal", self.node("Sqrt", self.node("Add", variance, self.f(1e-3))))
        factor = self.node("Mul", inverse, self.weight(self.random.uniform(0.5, 1.5, width).astype(np.float32)))
        shift = self.node("Sub", self.normal(width, scale=0.1), self.node("Mul", mean, factor))
        return self.node("Add", self.node("Mul", x, factor), shift)
