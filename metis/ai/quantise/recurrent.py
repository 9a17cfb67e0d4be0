"""Recurrent layers written out step by step: LSTM, GRU and RNN as ONNX defines them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from metis.ai.quantise.expand import Expansion, Rewriter

__all__ = ["RECURRENT_EXPANSIONS"]

_STEPS_MAX: Final = 2048
_GATES: Final = {"LSTM": 4, "GRU": 3, "RNN": 1}
_ACTIVATIONS: Final = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_KNOWN: Final = frozenset({"Sigmoid", "Tanh", "Relu", "HardSigmoid", "Softsign", "Softplus", "Elu", "LeakyRelu"})


class _Layer:
    """One direction of one recurrent layer."""

    def __init__(self, rewriter: Rewriter, direction: int, activations: tuple[str, ...]) -> None:
        self.add = rewriter.add
        self.several = rewriter.several
        self.constant = rewriter.constant
        self._group = rewriter.grouped
        self._direction = direction
        self.activations = activations
        kind = rewriter.node.operator
        weights = rewriter.value(1, "the weight")[direction]
        recurrent = rewriter.value(2, "the recurrent weight")[direction]
        self.size = recurrent.shape[1]
        count = _GATES[kind]
        bias = np.zeros((2, count * self.size), np.float32)
        if rewriter.given(3):
            bias = rewriter.value(3, "the bias")[direction].reshape(2, -1)
        # GRU alone has a recurrent bias that may stand inside a product: the last of its gates.
        self.inside = kind == "GRU" and bool(rewriter.node.attributes.get("linear_before_reset", 0))
        outer = bias.sum(axis=0)
        if self.inside:
            outer[2 * self.size :] = bias[0, 2 * self.size :]
        self.weights = self.constant(np.ascontiguousarray(weights.T), "weights")
        self.bias = self.constant(outer.astype(np.float32), "bias")
        self.recurrent = [
            self.constant(np.ascontiguousarray(part.T), "recurrent")
            for part in ([recurrent] if kind != "GRU" else [recurrent[: 2 * self.size], recurrent[2 * self.size :]])
        ]
        self.inner_bias = self.constant(np.ascontiguousarray(bias[1, 2 * self.size :]), "inner") if self.inside else ""

    def shared(self, role: str, name: str) -> str:
        """One scale for a role at all steps."""
        return self._group(f"{self._direction}/{role}", name)

    def act(self, place: int, role: str, x: str) -> str:
        """An activation."""
        return self.shared(role, self.add(self.activations[place], x))

    def product(self, role: str, h: str, part: int = 0) -> str:
        """The state times recurrent weights; 16-bit factors, for errors add up over the steps."""
        inputs = [h, self.recurrent[part]]
        if part == 1 and self.inside:
            inputs.append(self.inner_bias)
        return self.shared(role, self.add("MatMul", *inputs, static=1))


def _lstm(layer: _Layer, x: str, h: str, c: str) -> tuple[str, str]:
    gates = layer.shared("gates", layer.add("Add", x, layer.product("product", h)))
    parts = layer.several(4, "Split", gates, axis=-1)
    i, o, f = (layer.act(0, role, layer.shared("gates", part)) for role, part in zip("iof", parts[:3], strict=True))
    new = layer.act(1, "g", layer.shared("gates", parts[3]))
    kept = layer.shared("kept", layer.add("Mul", f, c))
    c = layer.shared("c", layer.add("Add", kept, layer.shared("added", layer.add("Mul", i, new))))
    return layer.shared("h", layer.add("Mul", o, layer.act(2, "tanh", c))), c


def _gru(layer: _Layer, x: str, h: str, c: str) -> tuple[str, str]:
    x_gates, x_new = _parted(layer, x)
    gates = layer.shared("gates", layer.add("Add", x_gates, layer.product("product", h)))
    z, r = (
        layer.act(0, role, layer.shared("gates", p))
        for role, p in zip("zr", layer.several(2, "Split", gates, axis=-1), strict=True)
    )
    if layer.inside:
        inner = layer.shared("inner", layer.add("Mul", r, layer.product("new", h, 1)))
    else:
        inner = layer.product("new", layer.shared("reset", layer.add("Mul", r, h)), 1)
    new = layer.act(1, "candidate", layer.shared("sum", layer.add("Add", x_new, inner)))
    # (1 - z) · new + z · h = new + z · (h - new)
    change = layer.shared("change", layer.add("Sub", h, new))
    return layer.shared("h", layer.add("Add", new, layer.shared("step", layer.add("Mul", z, change)))), c


def _parted(layer: _Layer, x: str) -> tuple[str, str]:
    sizes = layer.constant(np.asarray([2 * layer.size, layer.size], np.int64), "sizes")
    gates, new = layer.several(2, "Split", x, sizes, axis=-1)
    return gates, new


def _rnn(layer: _Layer, x: str, h: str, c: str) -> tuple[str, str]:
    total = layer.shared("gates", layer.add("Add", x, layer.product("product", h)))
    return layer.act(0, "h", total), c


_CELLS: Final[dict[str, Callable[[_Layer, str, str, str], tuple[str, str]]]] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}


def _recurrent(rewriter: Rewriter) -> None:
    node = rewriter.node
    kind, attributes = node.operator, node.attributes
    steps, batch = _checked(rewriter)
    directions = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[
        attributes.get("direction", "forward")
    ]
    activations = _activations(rewriter, len(directions))
    x = rewriter.given(0)
    if attributes.get("layout", 0):
        x = rewriter.add("Transpose", x, perm=[1, 0, 2])
    outputs: list[list[str]] = []
    last: list[tuple[str, str]] = []
    for direction, backward in enumerate(directions):
        layer = _Layer(rewriter, direction, activations[direction])
        every = rewriter.add("MatMul", x, layer.weights, layer.bias)
        axes = rewriter.constant(np.asarray([0], np.int64))
        if steps > 1:
            parts = [rewriter.add("Squeeze", part, axes) for part in rewriter.several(steps, "Split", every, axis=0)]
        else:
            parts = [rewriter.add("Squeeze", every, axes)]
        h, c = (_initial(rewriter, place, direction, batch, layer.size) for place in (5, 6))
        gone: list[str] = []
        for part in reversed(parts) if backward else parts:
            h, c = _CELLS[kind](layer, part, h, c)
            gone.append(h)
        outputs.append(gone[::-1] if backward else gone)
        last.append((h, c))
    _give(rewriter, outputs, last)


def _checked(rewriter: Rewriter) -> tuple[int, int]:
    node, shape = rewriter.node, rewriter.shape(0)
    for name in ("clip", "input_forget"):
        if node.attributes.get(name):
            raise node.unsupported(f"the attribute {name} is not supported")
    if len(node.inputs) > 7 and node.inputs[7]:
        raise node.unsupported("peepholes are not supported")
    steps, batch = (shape[1], shape[0]) if node.attributes.get("layout", 0) else (shape[0], shape[1])
    if rewriter.given(4):
        lengths = rewriter.constants.get(rewriter.given(4))
        if lengths is None or (lengths != steps).any():
            raise node.unsupported("sequence lengths must be those of the input")
    if steps > _STEPS_MAX:
        raise node.unsupported(f"{steps} steps; at most {_STEPS_MAX} are written out")
    return steps, batch


def _activations(rewriter: Rewriter, directions: int) -> list[tuple[str, ...]]:
    """Names as ONNX writes operators: exporters write them in other cases too."""
    node, known = rewriter.node, {name.lower(): name for name in _KNOWN}
    usual = _ACTIVATIONS[node.operator]
    given = [str(name) for name in node.attributes.get("activations") or usual * directions]
    if any(name.lower() not in known for name in given) or len(given) < len(usual) * directions:
        raise node.unsupported(f"of the activations {given} some are not supported")
    if node.attributes.get("activation_alpha") or node.attributes.get("activation_beta"):
        raise node.unsupported("parameters of activations are not supported")
    names = [known[name.lower()] for name in given]
    return [tuple(names[place * len(usual) : (place + 1) * len(usual)]) for place in range(directions)]


def _initial(rewriter: Rewriter, place: int, direction: int, batch: int, size: int) -> str:
    name = rewriter.given(place)
    if not name:
        return rewriter.constant(np.zeros((batch, size), np.float32), "initial")
    axis = 1 if rewriter.node.attributes.get("layout", 0) else 0
    return rewriter.add("Gather", name, rewriter.constant(np.asarray(direction, np.int64)), axis=axis)


def _give(rewriter: Rewriter, outputs: list[list[str]], last: list[tuple[str, str]]) -> None:
    """Y (steps, directions, batch, size) and the last states (directions, batch, size), or with the batch first."""
    first = bool(rewriter.node.attributes.get("layout", 0))

    def stacked(names: list[str], axis: int) -> str:
        axes = rewriter.constant(np.asarray([axis], np.int64))
        parts = [rewriter.add("Unsqueeze", name, axes) for name in names]
        return rewriter.add("Concat", *parts, axis=axis) if len(parts) > 1 else parts[0]

    wanted = rewriter.node.outputs
    if wanted and wanted[0]:
        sides = [stacked(names, 1 if first else 0) for names in outputs]
        rewriter.named(0, stacked(sides, 2 if first else 1))
    for place in (1, 2):
        if len(wanted) > place and wanted[place]:
            rewriter.named(place, stacked([states[place - 1] for states in last], 1 if first else 0))


RECURRENT_EXPANSIONS: Final[dict[str, Expansion]] = {"GRU": _recurrent, "LSTM": _recurrent, "RNN": _recurrent}
