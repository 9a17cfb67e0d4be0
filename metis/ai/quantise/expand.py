"""Composite operators spelled out in simpler ones, so that each simple one is lowered in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from metis.ai.quantise.graph import Array, FloatGraph, FloatNode, Names

__all__ = ["EXPANSIONS", "Expansion", "Rewriter", "inlined"]


class Rewriter:
    """
    Collects the nodes that replace one.

    Attributes
    ----------
    constants : of the graph; new ones are added to it. groups : tensors that shall have one scale, by a common key.
    """

    def __init__(
        self, node: FloatNode, shapes: Mapping[str, tuple[int, ...]], constants: dict[str, Array], names: Names
    ) -> None:
        self.node = node
        self.nodes: list[FloatNode] = []
        self.constants = constants
        self.groups: dict[str, str] = {}
        self._shapes = shapes
        self._names = names

    def shape(self, place: int) -> tuple[int, ...]:
        """Shape of an input."""
        return self._shapes[self.node.inputs[place]]

    def given(self, place: int) -> str:
        """The name of an input, "" where it is left out."""
        return self.node.inputs[place] if len(self.node.inputs) > place else ""

    def value(self, place: int, what: str) -> Array:
        """An input that must be constant."""
        name = self.given(place)
        if name not in self.constants:
            raise self.node.unsupported(f"{what} depends on the input; only a constant is supported")
        return self.constants[name]

    def constant(self, value: Any, hint: str = "constant") -> str:
        """A new constant."""
        name = self._names.new(f"{self.node.outputs[0]}/{hint}")
        self.constants[name] = np.asarray(value)
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node with one result, whose name it gives."""
        return self.several(1, operator, *inputs, **attributes)[0]

    def several(self, count: int, operator: str, *inputs: str, **attributes: Any) -> tuple[str, ...]:
        """A node with several results."""
        outputs = tuple(self._names.new(f"{self.node.outputs[0]}/{operator.lower()}") for _ in range(count))
        self.nodes.append(FloatNode(operator, inputs, outputs, attributes, self.node.name))
        return outputs

    def named(self, place: int, name: str) -> None:
        """Let a tensor be one of the replaced node's results."""
        if len(self.node.outputs) > place and self.node.outputs[place]:
            self.nodes.append(FloatNode("Identity", (name,), (self.node.outputs[place],), {}, self.node.name))

    def grouped(self, key: str, name: str) -> str:
        """Let a tensor have the scale that all with the key have."""
        self.groups[name] = f"{self.node.outputs[0]}/{key}"
        return name


Expansion = Callable[[Rewriter], None]


def inlined(branch: FloatGraph, node: FloatNode, constants: dict[str, Array], names: Names) -> list[FloatNode]:
    """The nodes of the branch that an If takes, under names of their own."""
    renamed = {name: names.new(f"{node.name}/{name}") for name in branch.constants}
    constants.update({renamed[name]: value for name, value in branch.constants.items()})
    for inner in branch.nodes:
        renamed.update({name: names.new(f"{node.name}/{name}") for name in inner.outputs if name})
    nodes = [_renamed(inner, renamed) for inner in branch.nodes]
    given = zip(branch.outputs, node.outputs, strict=False)
    return nodes + [
        FloatNode("Identity", (renamed.get(name, name),), (output,), {}, node.name) for name, output in given
    ]


def _renamed(node: FloatNode, names: Mapping[str, str]) -> FloatNode:
    """A node with tensors of other names, in the branches that it holds too."""
    attributes = {
        key: dataclasses.replace(
            value,
            nodes=[_renamed(inner, names) for inner in value.nodes],
            outputs=[names.get(name, name) for name in value.outputs],
        )
        if isinstance(value, FloatGraph)
        else value
        for key, value in node.attributes.items()
    }
    inputs, outputs = (tuple(names.get(name, name) for name in part) for part in (node.inputs, node.outputs))
    return dataclasses.replace(node, inputs=inputs, outputs=outputs, attributes=attributes)


def _conv_transpose(rewriter: Rewriter) -> None:
    """A convolution with the turned filter over the image with zeros between its elements."""
    attributes, shape = rewriter.node.attributes, rewriter.shape(0)
    weights, rank, groups = rewriter.value(1, "the filter"), len(shape) - 2, attributes.get("group", 1)
    kernel = weights.shape[2:]
    if rank not in (1, 2) or attributes.get("auto_pad", "NOTSET") != "NOTSET" or attributes.get("output_shape"):
        raise rewriter.node.unsupported("only 1 and 2 dimensions with pads and output_padding are supported")
    strides, dilations = attributes.get("strides") or [1] * rank, attributes.get("dilations") or [1] * rank
    pads, extra = attributes.get("pads") or [0] * 2 * rank, attributes.get("output_padding") or [0] * rank
    x = rewriter.given(0)
    for axis in range(rank):
        size, stride = shape[2 + axis], strides[axis]
        if stride > 1:
            at = rewriter.constant(np.asarray([3 + axis], np.int64))
            x = rewriter.add("Unsqueeze", x, at)
            widths = np.zeros((2, rank + 3), np.int64)
            widths[1, 3 + axis] = stride - 1
            x = rewriter.add("Pad", x, rewriter.constant(widths.reshape(-1)))
            sizes = [*shape[:2], *(shape[2 + a] if a > axis else 0 for a in range(rank))]
            sizes[2 : 2 + axis] = [shape[2 + a] * strides[a] for a in range(axis)]
            sizes[2 + axis] = size * stride
            x = rewriter.add("Reshape", x, rewriter.constant(np.asarray(sizes, np.int64)))
    widths = np.zeros((2, rank + 2), np.int64)
    for axis in range(rank):
        reach = (kernel[axis] - 1) * dilations[axis]
        widths[0, 2 + axis] = reach - pads[axis]
        widths[1, 2 + axis] = reach - pads[rank + axis] + extra[axis] - (strides[axis] - 1)
    for part in (np.minimum(widths, 0), np.maximum(widths, 0)):
        if part.any():
            x = rewriter.add("Pad", x, rewriter.constant(part.reshape(-1)))
    # (in, out / groups, …) → (out, in / groups, …), turned around.
    split = weights.reshape(groups, weights.shape[0] // groups, *weights.shape[1:])
    turned = np.flip(split.swapaxes(1, 2), axis=tuple(range(3, 3 + rank)))
    filters = rewriter.constant(np.ascontiguousarray(turned.reshape(-1, weights.shape[0] // groups, *kernel)))
    inputs = [x, filters, *([rewriter.given(2)] if rewriter.given(2) else [])]
    rewriter.named(0, rewriter.add("Conv", *inputs, group=groups, dilations=list(dilations)))


def _gemm(rewriter: Rewriter) -> None:
    attributes = rewriter.node.attributes
    a, b = rewriter.given(0), rewriter.given(1)
    if attributes.get("transA", 0):
        a = rewriter.add("Transpose", a, perm=[1, 0])
    if attributes.get("transB", 0):
        b = rewriter.add("Transpose", b, perm=[1, 0])
    y = rewriter.add("MatMul", a, b)
    if attributes.get("alpha", 1.0) != 1.0:
        y = rewriter.add("Mul", y, rewriter.constant(np.float32(attributes["alpha"])))
    if c := rewriter.given(2):
        if attributes.get("beta", 1.0) != 1.0:
            c = rewriter.add("Mul", c, rewriter.constant(np.float32(attributes["beta"])))
        y = rewriter.add("Add", y, c)
    rewriter.named(0, y)


def _batch_normalization(rewriter: Rewriter) -> None:
    scale, bias, mean, variance = (rewriter.value(place, "a parameter").astype(np.float64) for place in range(1, 5))
    factor = scale / np.sqrt(variance + rewriter.node.attributes.get("epsilon", 1e-5))
    shape = (-1, *[1] * (len(rewriter.shape(0)) - 2))
    multiplied = rewriter.add("Mul", rewriter.given(0), rewriter.constant(np.float32(factor.reshape(shape))))
    shift = rewriter.constant(np.float32((bias - mean * factor).reshape(shape)))
    rewriter.named(0, rewriter.add("Add", multiplied, shift))


def _group_normalization(rewriter: Rewriter) -> None:
    """InstanceNormalization and GroupNormalization: rows of a group's elements."""
    shape = rewriter.shape(0)
    groups = rewriter.node.attributes.get("num_groups", shape[1])
    scale, bias = (rewriter.value(place, "a parameter") for place in (1, 2))
    rows = rewriter.constant(np.asarray([shape[0], groups, -1], np.int64))
    x = rewriter.add("Reshape", rewriter.given(0), rows)
    width = int(np.prod(shape[1:])) // groups
    ones = rewriter.constant(np.ones(width, np.float32))
    epsilon = rewriter.node.attributes.get("epsilon", 1e-5)
    y = rewriter.add("LayerNormalization", x, ones, axis=-1, epsilon=epsilon)
    y = rewriter.add("Reshape", y, rewriter.constant(np.asarray(shape, np.int64)))
    each = shape[1] // len(scale)
    wide = (-1, *[1] * (len(shape) - 2))
    y = rewriter.add("Mul", y, rewriter.constant(np.repeat(scale, each).reshape(wide)))
    rewriter.named(0, rewriter.add("Add", y, rewriter.constant(np.repeat(bias, each).reshape(wide))))


def _global_pool(operator: str) -> Expansion:
    def expansion(rewriter: Rewriter) -> None:
        axes = rewriter.constant(np.arange(2, len(rewriter.shape(0)), dtype=np.int64))
        rewriter.named(0, rewriter.add(operator, rewriter.given(0), axes, keepdims=1))

    return expansion


def _log_softmax(rewriter: Rewriter) -> None:
    x, axis = rewriter.given(0), rewriter.node.attributes.get("axis", -1)
    axes = rewriter.constant(np.asarray([axis], np.int64))
    below = rewriter.add("Sub", x, rewriter.add("ReduceMax", x, axes, keepdims=1))
    total = rewriter.add("ReduceSum", rewriter.add("Exp", below), axes, keepdims=1)
    rewriter.named(0, rewriter.add("Sub", below, rewriter.add("Log", total)))


def _lp_normalization(rewriter: Rewriter) -> None:
    node = rewriter.node
    axes = rewriter.constant(np.asarray([node.attributes.get("axis", -1)], np.int64))
    operator = "ReduceL2" if node.attributes.get("p", 2) == 2 else "ReduceL1"
    rewriter.named(
        0, rewriter.add("Div", rewriter.given(0), rewriter.add(operator, rewriter.given(0), axes, keepdims=1))
    )


def _reduced(before: str | None, after: str | None) -> Expansion:
    """A reduction as a function, ReduceSum, and another function."""

    def expansion(rewriter: Rewriter) -> None:
        x = rewriter.given(0)
        if before == "Square":
            x = rewriter.add("Mul", x, x)
        elif before:
            x = rewriter.add(before, x)
        y = rewriter.add("ReduceSum", x, *rewriter.node.inputs[1:], **rewriter.node.attributes)
        rewriter.named(0, rewriter.add(after, y) if after else y)

    return expansion


def _cumulative_sum(rewriter: Rewriter) -> None:
    """A product with a triangle of ones."""
    shape = rewriter.shape(0)
    axis = int(rewriter.value(1, "the axis").reshape(-1)[0]) % len(shape)
    size, reverse = shape[axis], rewriter.node.attributes.get("reverse", 0)
    triangle = np.tri(size, size, -1 if rewriter.node.attributes.get("exclusive", 0) else 0)
    # (from, to): an element adds to those at and after it.
    ones = rewriter.constant((triangle if reverse else triangle.T).astype(np.float32))
    order = [*(place for place in range(len(shape)) if place != axis), axis]
    x = rewriter.add("Cast", rewriter.given(0), to=1)
    sums = rewriter.add("MatMul", rewriter.add("Transpose", x, perm=order), ones)
    back = rewriter.add("Transpose", sums, perm=[order.index(place) for place in range(len(shape))])
    rewriter.named(0, rewriter.add("CastLike", back, rewriter.given(0)))


def _trilu(rewriter: Rewriter) -> None:
    shape = rewriter.shape(0)
    k = int(rewriter.value(1, "the diagonal").reshape(-1)[0]) if rewriter.given(1) else 0
    ones = np.ones(shape[-2:], np.float32)
    part = np.triu(ones, k) if rewriter.node.attributes.get("upper", 1) else np.tril(ones, k)
    rewriter.named(0, rewriter.add("Mul", rewriter.given(0), rewriter.constant(part)))


def _depth_to_space(rewriter: Rewriter) -> None:
    batch, depth, height, width = rewriter.shape(0)
    size = rewriter.node.attributes["blocksize"]
    channels = depth // (size * size)
    column_first = rewriter.node.attributes.get("mode", "DCR") != "DCR"
    wide = (
        [batch, channels, size, size, height, width] if column_first else [batch, size, size, channels, height, width]
    )
    order = [0, 1, 4, 2, 5, 3] if column_first else [0, 3, 4, 1, 5, 2]
    x = rewriter.add("Reshape", rewriter.given(0), rewriter.constant(np.asarray(wide, np.int64)))
    x = rewriter.add("Transpose", x, perm=order)
    shape = np.asarray([batch, channels, height * size, width * size], np.int64)
    rewriter.named(0, rewriter.add("Reshape", x, rewriter.constant(shape)))


def _space_to_depth(rewriter: Rewriter) -> None:
    batch, depth, height, width = rewriter.shape(0)
    size = rewriter.node.attributes["blocksize"]
    wide = np.asarray([batch, depth, height // size, size, width // size, size], np.int64)
    x = rewriter.add("Reshape", rewriter.given(0), rewriter.constant(wide))
    x = rewriter.add("Transpose", x, perm=[0, 3, 5, 1, 2, 4])
    shape = np.asarray([batch, depth * size * size, height // size, width // size], np.int64)
    rewriter.named(0, rewriter.add("Reshape", x, rewriter.constant(shape)))


def _mean(rewriter: Rewriter) -> None:
    total = rewriter.add("Sum", *rewriter.node.inputs)
    rewriter.named(0, rewriter.add("Div", total, rewriter.constant(np.float32(len(rewriter.node.inputs)))))


def _resize(rewriter: Rewriter) -> None:
    """Nearest neighbours, chosen along each axis."""
    node, shape = rewriter.node, rewriter.shape(0)
    if node.attributes.get("mode", "nearest") not in ("nearest", b"nearest"):
        raise node.unsupported("only the mode nearest is supported")
    scales, sizes = _resize_factors(rewriter)
    x = rewriter.given(0)
    for axis, size in enumerate(shape):
        out = sizes[axis] if sizes else int(np.floor(size * scales[axis]))
        if out != size:
            scale = out / size if sizes else scales[axis]
            places = _nearest(node, out, size, scale)
            x = rewriter.add("Gather", x, rewriter.constant(places.astype(np.int64)), axis=axis)
    rewriter.named(0, x)


def _resize_factors(rewriter: Rewriter) -> tuple[list[float], list[int]]:
    if rewriter.node.operator == "Upsample":
        return [float(scale) for scale in rewriter.value(1, "the scale")], []
    if rewriter.given(3):
        return [], [int(size) for size in rewriter.value(3, "the size")]
    return [float(scale) for scale in rewriter.value(2, "the scale")], []


def _nearest(node: FloatNode, out: int, size: int, scale: float) -> Array:
    mode = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    if node.operator == "Upsample":
        mode = "asymmetric"
    places = np.arange(out)
    if mode == "asymmetric":
        exact: Array = np.asarray(places / scale)
    elif mode == "align_corners":
        exact = places * (size - 1) / max(1, out - 1)
    elif mode in ("half_pixel", "pytorch_half_pixel"):
        exact = (places + 0.5) / scale - 0.5 if out > 1 or mode == "half_pixel" else np.zeros(1)
    else:
        raise node.unsupported(f"the coordinates {mode!r} are not supported; use asymmetric or half_pixel")
    rounding = "floor" if node.operator == "Upsample" else node.attributes.get("nearest_mode", "round_prefer_floor")
    whole = {
        "round_prefer_floor": np.ceil(exact - 0.5),
        "round_prefer_ceil": np.floor(exact + 0.5),
        "floor": np.floor(exact),
        "ceil": np.ceil(exact),
    }[rounding]
    return np.asarray(np.clip(whole, 0, size - 1))


EXPANSIONS: Final[dict[str, Expansion]] = {
    "BatchNormalization": _batch_normalization,
    "ConvTranspose": _conv_transpose,
    "CumSum": _cumulative_sum,
    "DepthToSpace": _depth_to_space,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool("ReduceMean"),
    "GlobalMaxPool": _global_pool("ReduceMax"),
    "GroupNormalization": _group_normalization,
    "InstanceNormalization": _group_normalization,
    "LogSoftmax": _log_softmax,
    "LpNormalization": _lp_normalization,
    "Mean": _mean,
    "ReduceL1": _reduced("Abs", None),
    "ReduceLogSum": _reduced(None, "Log"),
    "ReduceLogSumExp": _reduced("Exp", "Log"),
    "ReduceSumSquare": _reduced("Square", None),
    "ReduceL2": _reduced("Square", "Sqrt"),
    "Resize": _resize,
    "SpaceToDepth": _space_to_depth,
    "Trilu": _trilu,
    "Upsample": _resize,
}
