"""Float kernels of single elements, in numpy; the definitions are ONNX's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from metis.ai.quantise.graph import Array

__all__ = ["ELEMENTWISE", "NUMPY_OF_ONNX", "Kernel", "erf"]

Kernel = Callable[[Sequence[Array | None], Mapping[str, Any]], tuple[Array, ...]]

# TensorProto.DataType; bfloat16 and the eight-bit floats have no type in numpy and are read as float32.
NUMPY_OF_ONNX: Final = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    4: np.uint16,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float32,
    11: np.float64,
    12: np.uint32,
    13: np.uint64,
    16: np.float32,
}


def erf(x: Array) -> Array:
    """The error function within 1.5e-7 (Abramowitz and Stegun 7.1.26)."""
    value = np.asarray(x, np.float64)
    t = 1.0 / (1.0 + 0.3275911 * np.abs(value))
    series = np.zeros_like(value)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + coefficient) * t
    return np.asarray(np.sign(value) * (1.0 - series * np.exp(-value * value)), np.asarray(x).dtype)


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (np.tanh(0.5 * x) + 1), x.dtype)


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(x, 0), x.dtype)


def _gelu(x: Array, attributes: Mapping[str, Any]) -> Array:
    if attributes.get("approximate", "none") == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x))), x.dtype)
    return np.asarray(0.5 * x * (1 + erf(x * 0.7071067811865476)), x.dtype)


def _elu(x: Array, attributes: Mapping[str, Any]) -> Array:
    alpha = attributes.get("alpha", 1.0)
    return np.asarray(np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), x.dtype)


def _selu(x: Array, attributes: Mapping[str, Any]) -> Array:
    alpha = attributes.get("alpha", 1.67326319217681884765625)
    gamma = attributes.get("gamma", 1.05070102214813232421875)
    return np.asarray(gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), x.dtype)


def _celu(x: Array, attributes: Mapping[str, Any]) -> Array:
    alpha = attributes.get("alpha", 1.0)
    return np.asarray(np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(np.minimum(x, 0) / alpha)), x.dtype)


def _hard_sigmoid(x: Array, attributes: Mapping[str, Any]) -> Array:
    return np.asarray(np.clip(attributes.get("alpha", 0.2) * x + attributes.get("beta", 0.5), 0, 1), x.dtype)


def _clip(inputs: Sequence[Array | None], attributes: Mapping[str, Any]) -> tuple[Array, ...]:
    x = _first(inputs)
    lo = inputs[1] if len(inputs) > 1 else attributes.get("min")
    hi = inputs[2] if len(inputs) > 2 else attributes.get("max")
    if lo is not None:
        x = np.maximum(x, np.asarray(lo, x.dtype))
    if hi is not None:
        x = np.minimum(x, np.asarray(hi, x.dtype))
    return (x,)


def _cast(inputs: Sequence[Array | None], attributes: Mapping[str, Any]) -> tuple[Array, ...]:
    with np.errstate(invalid="ignore"):
        return (_first(inputs).astype(NUMPY_OF_ONNX[attributes["to"]]),)


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu":
        # ONNX truncates towards zero, numpy rounds down.
        quotient = np.floor_divide(np.abs(a), np.maximum(np.abs(b), 1))
        return np.asarray(quotient * np.sign(a) * np.sign(b), a.dtype)
    return np.asarray(a / b)


def _power(a: Array, b: Array) -> Array:
    return np.asarray(np.power(a, b.astype(a.dtype) if a.dtype.kind == "f" else b), a.dtype)


def _mod(inputs: Sequence[Array | None], attributes: Mapping[str, Any]) -> tuple[Array, ...]:
    a, b = _two(inputs)
    return (np.fmod(a, b) if attributes.get("fmod", 0) else np.mod(a, b),)


def _first(inputs: Sequence[Array | None]) -> Array:
    assert inputs[0] is not None  # noqa: S101 - the first input of every operator is required
    return inputs[0]


def _two(inputs: Sequence[Array | None]) -> tuple[Array, Array]:
    a, b = inputs[0], inputs[1]
    assert a is not None and b is not None  # noqa: S101, PT018
    return a, b


def _unary(function: Callable[[Array], Any]) -> Kernel:
    def kernel(inputs: Sequence[Array | None], _: Mapping[str, Any]) -> tuple[Array, ...]:
        x = _first(inputs)
        return (np.asarray(function(x), x.dtype),)

    return kernel


def _unary_with(function: Callable[[Array, Mapping[str, Any]], Array]) -> Kernel:
    return lambda inputs, attributes: (function(_first(inputs), attributes),)


def _binary(function: Callable[[Array, Array], Any]) -> Kernel:
    return lambda inputs, _: (np.asarray(function(*_two(inputs))),)


def _several(function: Callable[[Array, Array], Array]) -> Kernel:
    return lambda inputs, _: (functools.reduce(function, [x for x in inputs if x is not None]),)


def _mean(inputs: Sequence[Array | None], _: Mapping[str, Any]) -> tuple[Array, ...]:
    present = [x for x in inputs if x is not None]
    return (np.asarray(functools.reduce(np.add, present) / len(present), present[0].dtype),)


def _where(inputs: Sequence[Array | None], _: Mapping[str, Any]) -> tuple[Array, ...]:
    condition, a, b = inputs
    assert condition is not None and a is not None and b is not None  # noqa: S101, PT018
    return (np.where(condition, a, b),)


ELEMENTWISE: Final[Mapping[str, Kernel]] = {
    "Abs": _unary(np.abs),
    "Add": _binary(np.add),
    "And": _binary(np.logical_and),
    "Cast": _cast,
    "CastLike": lambda inputs, _: (_two(inputs)[0].astype(_two(inputs)[1].dtype),),
    "Ceil": _unary(np.ceil),
    "Celu": _unary_with(_celu),
    "Clip": _clip,
    "Cos": _unary(np.cos),
    "Div": _binary(_divide),
    "Elu": _unary_with(_elu),
    "Equal": _binary(np.equal),
    "Erf": _unary(erf),
    "Exp": _unary(np.exp),
    "Floor": _unary(np.floor),
    "Gelu": _unary_with(_gelu),
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "HardSigmoid": _unary_with(_hard_sigmoid),
    "HardSwish": _unary(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "Identity": lambda inputs, _: (_first(inputs),),
    "IsInf": lambda inputs, _: (np.isinf(_first(inputs)),),
    "IsNaN": lambda inputs, _: (np.isnan(_first(inputs)),),
    "LeakyRelu": _unary_with(lambda x, a: np.asarray(np.where(x >= 0, x, a.get("alpha", 0.01) * x), x.dtype)),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Log": _unary(np.log),
    "Max": _several(np.maximum),
    "Mean": _mean,
    "Min": _several(np.minimum),
    "Mish": _unary(lambda x: x * np.tanh(_softplus(x))),
    "Mod": _mod,
    "Mul": _binary(np.multiply),
    "Neg": _unary(np.negative),
    "Not": lambda inputs, _: (np.logical_not(_first(inputs)),),
    "Or": _binary(np.logical_or),
    "PRelu": _binary(lambda x, slope: np.asarray(np.where(x >= 0, x, slope * x), x.dtype)),
    "Pow": _binary(_power),
    "Reciprocal": _unary(np.reciprocal),
    "Relu": _unary(lambda x: np.maximum(x, 0)),
    "Round": _unary(np.round),
    "Selu": _unary_with(_selu),
    "Sigmoid": _unary(_sigmoid),
    "Sign": _unary(np.sign),
    "Sin": _unary(np.sin),
    "Softplus": _unary(_softplus),
    "Softsign": _unary(lambda x: x / (1 + np.abs(x))),
    "Sqrt": _unary(np.sqrt),
    "Sub": _binary(np.subtract),
    "Sum": _several(np.add),
    "Swish": _unary_with(lambda x, a: np.asarray(x * _sigmoid(np.asarray(a.get("alpha", 1.0) * x)), x.dtype)),
    "Table": lambda inputs, a: (np.asarray(a["function"](_first(inputs)), _first(inputs).dtype),),
    "Tanh": _unary(np.tanh),
    "ThresholdedRelu": _unary_with(lambda x, a: np.asarray(np.where(x > a.get("alpha", 1.0), x, 0), x.dtype)),
    "Where": _where,
    "Xor": _binary(np.logical_xor),
}
