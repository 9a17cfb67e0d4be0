"""Operators on single elements as integer operators: sums, products, comparisons, tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from metis.ai.graph import DType
from metis.ai.quantise.emitter import HEADROOM, NARROW_MAX, Value, power_of_two_scale
from metis.ai.quantise.graph import Array, FloatNode
from metis.ai.quantise.lowering import Lowering, Rule

__all__ = ["ELEMENTWISE_RULES", "lower_sum"]

_TABLE_ENTRIES_LEAST: Final = 257
_TABLE_ENTRIES_MOST: Final = 4097
_INT32_MAX: Final = (1 << 31) - 1
_FACTOR_MAX: Final = (1 << 24) - 1


def lower_sum(low: Lowering, names: list[str], result: str, operator: str = "add") -> Value:
    """The sum, difference, minimum or maximum of tensors at a common scale."""
    emitter = low.emitter
    values = emitter.aligned(
        [low.value(name) for name in names], [low.magnitude(name) for name in names], low.magnitude(result)
    )
    total = values[0].tensor
    for value in values[1:]:
        total = emitter.binary(operator, total, value.tensor)
    return Value(total, values[0].scale, all(value.exact for value in values))


def _combined(operator: str) -> Rule:
    def rule(low: Lowering, node: FloatNode) -> None:
        low.set(node.outputs[0], lower_sum(low, list(node.inputs), node.outputs[0], operator))

    return rule


def _scaled(low: Lowering, value: Value, factor: float) -> Value:
    """A value times a number: only its scale changes, and its sign."""
    if factor == 0:
        return Value(low.emitter.binary("multiply", value.tensor, low.emitter.constant(np.zeros(1))), 1.0, exact=True)
    tensor = value.tensor
    if factor < 0:
        tensor = low.emitter.binary("subtract", low.emitter.constant(np.zeros(1)), tensor)
    return Value(tensor, value.scale * abs(factor), value.exact)


def _multiply(low: Lowering, node: FloatNode) -> None:
    a, b = node.inputs
    for name, other in ((a, b), (b, a)):
        factor = low.scalar(other)
        if (
            factor is not None
            and (low.is_float(a) or abs(factor) == 1)
            and low.shape(node.outputs[0]) == low.shape(name)
        ):
            low.set(node.outputs[0], _scaled(low, low.value(name), factor))
            return
        constant = low.constant(other)
        if constant is not None and constant.dtype.kind == "f" and not low.value(name).exact:
            _multiply_constant(low, node, name, constant)
            return
    _multiply_values(low, node, low.value(a), low.value(b))


def _multiply_constant(low: Lowering, node: FloatNode, name: str, constant: Array) -> None:
    """A factor for each channel, or for each element."""
    emitter, limit, value = low.emitter, low.limit(node.outputs[0]), low.value(name)
    scale = power_of_two_scale(low.magnitude(node.outputs[0]), limit)
    if emitter.facts(value).magnitude > _INT32_MAX:
        value = emitter.narrowed(value, low.magnitude(name), _FACTOR_MAX)
    dtype = DType.INT16 if limit <= NARROW_MAX else DType.INT32
    tensor = emitter.rescaled(value.tensor, constant * (value.scale / scale), dtype)
    low.set(node.outputs[0], Value(emitter.clip(tensor, -limit - 1, limit), scale))


def _multiply_values(low: Lowering, node: FloatNode, x: Value, y: Value) -> None:
    emitter, (a, b) = low.emitter, node.inputs
    if emitter.facts(x).magnitude * emitter.facts(y).magnitude > _INT32_MAX and not (x.exact and y.exact):
        # The wider of the two first: often the other is a mask, or a gate of few bits.
        x = emitter.narrowed(x, low.magnitude(a))
        y = emitter.narrowed(y, low.magnitude(b))
    low.set(
        node.outputs[0], Value(emitter.binary("multiply", x.tensor, y.tensor), x.scale * y.scale, x.exact and y.exact)
    )


def _divide(low: Lowering, node: FloatNode) -> None:
    a, b = node.inputs
    constant = low.constant(b)
    if not low.is_float(a):
        raise node.unsupported("a quotient of integers is not supported")
    if constant is not None:
        factor = low.scalar(b)
        if factor and low.shape(node.outputs[0]) == low.shape(a):
            low.set(node.outputs[0], _scaled(low, low.value(a), 1 / factor))
            return
        with np.errstate(divide="ignore"):
            _multiply_constant(low, node, a, np.nan_to_num(1 / constant.astype(np.float64), posinf=0, neginf=0))
        return
    _divide_values(low, node, low.value(a), low.value(b))


def _divide_values(low: Lowering, node: FloatNode, x: Value, y: Value) -> None:
    emitter, (a, b) = low.emitter, node.inputs
    x, y = emitter.narrowed(x, low.magnitude(a), _FACTOR_MAX), emitter.narrowed(y, low.magnitude(b), _FACTOR_MAX)
    dividend, divisor = x.tensor, y.tensor
    if low.statistics[b].lo < 0:
        zero, one = emitter.constant(np.zeros(1)), emitter.constant(np.ones(1))
        sign = emitter.binary("subtract", one, emitter.binary("add", *(emitter.node("less", divisor, zero),) * 2))
        dividend, divisor = (emitter.binary("multiply", tensor, sign) for tensor in (dividend, divisor))
    divisor = emitter.clip(divisor, 1, max(1, emitter.facts(divisor).hi))
    limit = low.limit(node.outputs[0])
    wanted = power_of_two_scale(low.magnitude(node.outputs[0]), limit)
    room = 61 - emitter.facts(dividend).magnitude.bit_length()
    bits = min(room, max(0, round(math.log2(x.scale / (y.scale * wanted)))))
    tensor = emitter.node("divide", dividend, divisor, fraction_bits=bits, dtype=DType.INT64)
    low.set(node.outputs[0], emitter.at_scale(Value(tensor, x.scale / (y.scale * 2.0**bits)), wanted, limit))


def _negate(low: Lowering, node: FloatNode) -> None:
    low.set(node.outputs[0], _scaled(low, low.value(node.inputs[0]), -1.0))


def _absolute(low: Lowering, node: FloatNode) -> None:
    value = low.value(node.inputs[0])
    negative = _scaled(low, value, -1.0)
    tensor = low.emitter.binary("maximum", value.tensor, negative.tensor)
    low.set(node.outputs[0], Value(tensor, value.scale, value.exact))


def _square(low: Lowering, node: FloatNode) -> None:
    """Pow: a square; other powers of floats are tables."""
    exponent = low.scalar(node.inputs[1])
    if exponent == 1.0:
        low.set(node.outputs[0], low.value(node.inputs[0]))
        return
    if exponent != 2.0:
        raise node.unsupported("only constant exponents are supported")
    value = low.emitter.narrowed(low.value(node.inputs[0]), low.magnitude(node.inputs[0]))
    tensor = low.emitter.binary("multiply", value.tensor, value.tensor)
    low.set(node.outputs[0], Value(tensor, value.scale**2, value.exact))


def _clip(low: Lowering, node: FloatNode) -> None:
    bounds = []
    for place, name in ((1, "min"), (2, "max")):
        given = low.optional(node, place, f"the bound {name}")
        bounds.append(node.attributes.get(name) if given is None else float(given.reshape(-1)[0]))
    _bounded(low, node, *bounds)


def _bounded(low: Lowering, node: FloatNode, lo: float | None, hi: float | None) -> None:
    value = low.value(node.inputs[0])
    facts = low.emitter.facts(value)
    # A bound beyond what is possible is none: the least float is often given as one.
    least = facts.lo if lo is None or lo / value.scale <= facts.lo else min(facts.hi, round(lo / value.scale))
    most = facts.hi if hi is None or hi / value.scale >= facts.hi else max(facts.lo, round(hi / value.scale))
    low.set(node.outputs[0], Value(low.emitter.clip(value.tensor, least, max(least, most)), value.scale, value.exact))


def _leaky(low: Lowering, node: FloatNode) -> None:
    """LeakyRelu and PRelu: another slope below zero."""
    value, emitter = low.value(node.inputs[0]), low.emitter
    slope = (
        np.asarray([node.attributes.get("alpha", 0.01)])
        if node.operator == "LeakyRelu"
        else low.required(node, 1, "the slope")
    )
    value = emitter.narrowed(value, low.magnitude(node.inputs[0]), _FACTOR_MAX)
    facts = emitter.facts(value)
    dtype = DType.INT16 if facts.magnitude * max(1.0, float(np.abs(slope).max())) <= NARROW_MAX else DType.INT32
    below = emitter.rescaled(emitter.clip(value.tensor, min(facts.lo, 0), 0), slope, dtype)
    above = emitter.clip(value.tensor, 0, max(facts.hi, 0))
    low.set(node.outputs[0], Value(emitter.binary("add", above, below), value.scale))


def _cast(low: Lowering, node: FloatNode) -> None:
    """Cast: the integers stay what they are, unless floats are to be cut to integers."""
    source, target = node.inputs[0], node.outputs[0]
    value = low.value(source)
    if low.statistics[target].kind == "b" and low.statistics[source].kind != "b":
        low.set(target, _not(low, _is_zero(low, value)))
    elif low.is_float(source) and not low.is_float(target) and not (value.exact and float(value.scale).is_integer()):
        raise node.unsupported("rounding floats to integers is not supported")
    elif not low.is_float(target) and value.scale != 1.0:
        low.set(target, low.emitter.at_scale(value, 1.0, _INT32_MAX))
    else:
        low.set(target, value)


def _is_zero(low: Lowering, value: Value) -> Value:
    return Value(low.emitter.node("equal", value.tensor, low.emitter.constant(np.zeros(1))), 1.0, exact=True)


def _never(low: Lowering, node: FloatNode) -> None:
    """IsNaN and IsInf: integers are neither; exporters ask after a softmax that may see only masks."""
    tensor = low.value(node.inputs[0]).tensor
    low.set(node.outputs[0], Value(low.emitter.node("less", tensor, tensor), 1.0, exact=True))


def _not(low: Lowering, value: Value) -> Value:
    zero = low.emitter.constant(np.zeros(1))
    return Value(low.emitter.node("equal", value.tensor, zero), 1.0, exact=True)


def _comparison(operator: str, *, swapped: bool = False, negated: bool = False) -> Rule:
    def rule(low: Lowering, node: FloatNode) -> None:
        names = list(reversed(node.inputs)) if swapped else list(node.inputs)
        greatest = max(low.magnitude(name) for name in names)
        a, b = low.emitter.aligned([low.value(name) for name in names], [low.magnitude(n) for n in names], greatest)
        value = Value(low.emitter.node(operator, a.tensor, b.tensor), 1.0, exact=True)
        low.set(node.outputs[0], _not(low, value) if negated else value)

    return rule


def _logical(operator: str) -> Rule:
    def rule(low: Lowering, node: FloatNode) -> None:
        a, b = (low.value(name).tensor for name in node.inputs)
        low.set(node.outputs[0], Value(low.emitter.node(operator, a, b, dtype=DType.INT8), 1.0, exact=True))

    return rule


def _xor(low: Lowering, node: FloatNode) -> None:
    a, b = (low.value(name).tensor for name in node.inputs)
    low.set(node.outputs[0], _not(low, Value(low.emitter.node("equal", a, b), 1.0)))


def _where(low: Lowering, node: FloatNode) -> None:
    condition, names = low.value(node.inputs[0]), list(node.inputs[1:])
    a, b = low.emitter.aligned(
        [low.value(name) for name in names], [low.magnitude(name) for name in names], low.magnitude(node.outputs[0])
    )
    dtype = max(low.emitter.facts(a).dtype, low.emitter.facts(b).dtype)
    tensor = low.emitter.node("select", condition.tensor, a.tensor, b.tensor, dtype=dtype)
    low.set(node.outputs[0], Value(tensor, a.scale, a.exact and b.exact))


def _table(low: Lowering, node: FloatNode) -> None:
    """A function of one variable: a table over what the calibration showed, with as much again on both sides."""
    emitter, name = low.emitter, node.inputs[0]
    function: Callable[[Array], Array] = node.attributes["function"]
    statistics, result = low.statistics[name], low.statistics[node.outputs[0]]
    value = low.value(name)
    if emitter.facts(value).magnitude > _FACTOR_MAX:
        value = emitter.narrowed(value, statistics.magnitude, _FACTOR_MAX >> 2)
    facts = emitter.facts(value)
    reach = (statistics.hi - statistics.lo) * (HEADROOM - 1) + statistics.magnitude * 0.01 + value.scale
    lo = max(facts.lo, math.floor((statistics.lo - reach) / value.scale))
    hi = min(facts.hi, math.ceil((statistics.hi + reach) / value.scale))
    lo, hi = min(lo, facts.hi), max(hi, facts.lo)
    limit = low.limit(node.outputs[0])
    scale = power_of_two_scale(result.magnitude, limit)

    def sampled(places: Array) -> Array:
        with np.errstate(all="ignore"):
            # Scalars may be given as tensors of several dimensions of one.
            values = np.reshape(function(places.astype(np.float64) * value.scale), -1) / scale
        return np.clip(np.nan_to_num(values, nan=0.0, posinf=limit, neginf=-limit), -limit, limit)

    shift = max(0, (hi - lo).bit_length() - _TABLE_ENTRIES_LEAST.bit_length() + 1)
    table, shift = _fine_table(sampled, lo, hi, shift)
    dtype = DType.INT16 if limit <= NARROW_MAX else DType.INT32
    constant = emitter.constant(np.round(table).astype(np.int64), dtype)
    low.set(node.outputs[0], Value(emitter.node("lookup", value.tensor, constant, first=lo, shift=shift), scale))


def _fine_table(sampled: Callable[[Array], Array], lo: int, hi: int, shift: int) -> tuple[Array, int]:
    """The smallest table whose straight lines stay within one unit of the function, or the largest allowed."""
    while True:
        places = lo + (np.arange(((hi - lo) >> shift) + 2, dtype=np.int64) << shift)
        table = sampled(places)
        if shift == 0:
            return table[:-1] if len(table) > 1 else table, shift
        middles = sampled(places[:-1] + (1 << shift >> 1))
        error = np.abs(middles - (table[:-1] + table[1:]) / 2).max()
        if error <= 1.0 or 2 * len(table) > _TABLE_ENTRIES_MOST:
            return table, shift
        shift -= 1


ELEMENTWISE_RULES: Final[Mapping[str, Rule]] = {
    "Abs": _absolute,
    "Add": _combined("add"),
    "And": _logical("minimum"),
    "Cast": _cast,
    "CastLike": _cast,
    "Clip": _clip,
    "Div": _divide,
    "Dropout": lambda low, node: low.set(node.outputs[0], low.value(node.inputs[0])),
    "Equal": _comparison("equal"),
    "Greater": _comparison("less", swapped=True),
    "GreaterOrEqual": _comparison("less", negated=True),
    "Identity": lambda low, node: low.set(node.outputs[0], low.value(node.inputs[0])),
    "IsInf": _never,
    "IsNaN": _never,
    "LeakyRelu": _leaky,
    "Less": _comparison("less"),
    "LessOrEqual": _comparison("less", swapped=True, negated=True),
    "Max": _combined("maximum"),
    "Min": _combined("minimum"),
    "Mul": _multiply,
    "Neg": _negate,
    "Not": lambda low, node: low.set(node.outputs[0], _not(low, low.value(node.inputs[0]))),
    "Or": _logical("maximum"),
    "PRelu": _leaky,
    "Pow": _square,
    "Relu": lambda low, node: _bounded(low, node, 0.0, None),
    "Sub": _combined("subtract"),
    "Sum": _combined("add"),
    "Table": _table,
    "Where": _where,
    "Xor": _xor,
}
