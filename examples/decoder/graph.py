"""The decoder for one letter at a time: keys and values of the letters before it are states."""

from __future__ import annotations

from typing import Any

import numpy as np

from examples.decoder.network import HEADS, Array, Weights
from metis.ai.quantise.graph import FloatGraph, FloatInput, FloatNode

__all__ = ["TEMPERATURE", "step_graph"]

TEMPERATURE = 0.7
"""Below 1 likely letters are chosen more often than they are likely."""


class _Writer:
    """Nodes and constants, with names made up."""

    def __init__(self) -> None:
        self.nodes: list[FloatNode] = []
        self.constants: dict[str, Array] = {}

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(FloatNode(operator, inputs, (name,), attributes, name))
        return name


def step_graph(weights: Weights) -> FloatGraph:
    """
    A float graph for one letter.

    Its inputs are ``token``, ``place`` and ``seed``, all (1,); its outputs ``scores`` (1, letters) and ``next`` (1, 1),
    a letter chosen by the seed. ``place`` counts the letters so far: 0 for the first; after the last place of the
    context begin again at 0.
    """
    w = _Writer()
    (context, width), layers = weights["places"].shape, sum(name.startswith("q") for name in weights)
    depth = width // HEADS
    inputs = [FloatInput(name, (1,), "int64") for name in ("token", "place", "seed")]
    x = w.node(
        "Add",
        w.node("Gather", w.constant(weights["words"]), "token"),
        w.node("Gather", w.constant(weights["places"]), "place"),
    )
    # What lies behind the letter of now is still empty, or from a text before.
    open_places = w.node("Not", w.node("Less", "place", w.constant(np.arange(context).reshape(1, 1, context))))
    ones = w.constant(np.ones(width, np.float32))
    states = []
    for layer in range(layers):
        a = w.node("RMSNormalization", x, ones, axis=-1, epsilon=1e-5)
        parts = {}
        for name in "qkv":
            y = w.node("MatMul", a, w.constant(weights[f"{name}{layer}"]))
            y = w.node("Reshape", y, w.constant(np.asarray([1, HEADS, depth])))
            parts[name] = w.node("Transpose", y, perm=[1, 0, 2])
        caches = {}
        for name in "kv":
            state = FloatInput(f"{name}{layer}", (HEADS, context, depth), "float32")
            caches[name] = w.node("CacheAppend", state.name, parts[name], "place", axis=1)
            states.append((state, caches[name]))
        scores = w.node("MatMul", parts["q"], w.node("Transpose", caches["k"], perm=[0, 2, 1]))
        scores = w.node("Mul", scores, w.constant(np.float32(depth**-0.5)))
        scores = w.node("Where", open_places, scores, w.constant(np.float32(-np.inf)))
        mixed = w.node("MatMul", w.node("Softmax", scores, axis=-1), caches["v"])
        mixed = w.node("Reshape", w.node("Transpose", mixed, perm=[1, 0, 2]), w.constant(np.asarray([1, width])))
        x = w.node("Add", x, w.node("MatMul", mixed, w.constant(weights[f"o{layer}"])))
        b = w.node("RMSNormalization", x, ones, axis=-1, epsilon=1e-5)
        wide = w.node("Relu", w.node("MatMul", b, w.constant(weights[f"up{layer}"])))
        x = w.node("Add", x, w.node("MatMul", wide, w.constant(weights[f"down{layer}"])))
    last = w.node("RMSNormalization", x, ones, axis=-1, epsilon=1e-5)
    w.nodes.append(FloatNode("MatMul", (last, w.constant(weights["out"])), ("scores",), {}, "scores"))
    colder = w.node("Div", "scores", w.constant(np.float32(TEMPERATURE)))
    shares = w.node("Softmax", colder, axis=-1)
    w.nodes.append(FloatNode("Sample", (shares, "seed"), ("next",), {}, "next"))
    return FloatGraph(inputs, w.constants, w.nodes, ["scores", "next"], states)
