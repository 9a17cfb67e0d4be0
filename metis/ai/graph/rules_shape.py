"""Shapes and bounds of the operators that only move elements. docs/ai-graph.md gives the formulas."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from metis.ai.graph.limits import RANK_MAX
from metis.ai.graph.rule import Attributes, Refused, Results, Rule, broadcast_shapes, checked_shape, elements_of
from metis.ai.graph.types import TensorFacts

__all__ = ["RULES_SHAPE"]


def _moved(x: TensorFacts, shape: Sequence[int]) -> Results:
    """The same elements in another shape."""
    facts = dataclasses.replace(x, shape=checked_shape(shape))
    return (facts,)


def _reshape(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    shape = attributes.integers("shape")
    if elements_of(shape) != x.element_count:
        raise Refused(f"shapes {x.shape} and {shape} have different numbers of elements")
    return _moved(x, shape)


def _transpose(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    order = attributes.integers("order")
    if sorted(order) != list(range(len(x.shape))):
        raise Refused(f"{order} is no order of the {len(x.shape)} dimensions")
    return _moved(x, [x.shape[axis] for axis in order])


def _slice(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    starts, stops, steps = (attributes.integers(name) for name in ("starts", "stops", "steps"))
    if not len(starts) == len(stops) == len(steps) == len(x.shape):
        raise Refused(f"starts, stops and steps must each have {len(x.shape)} values")
    shape = []
    for size, start, stop, step in zip(x.shape, starts, stops, steps, strict=True):
        if not start < stop <= size:
            raise Refused(f"{start} to {stop} is no part of {size}")
        shape.append((stop - start - 1) // step + 1)
    return _moved(x, shape)


def _concat(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    axis, first = attributes.integer("axis"), inputs[0]
    if axis >= len(first.shape):
        raise Refused(f"shape {first.shape} has no axis {axis}")
    for x in inputs:
        if x.dtype is not first.dtype:
            raise Refused("tensors of different types")
        outside = (*first.shape[:axis], *first.shape[axis + 1 :])
        if len(x.shape) != len(first.shape) or (*x.shape[:axis], *x.shape[axis + 1 :]) != outside:
            raise Refused(f"shapes {first.shape} and {x.shape} differ outside axis {axis}")
    shape = list(first.shape)
    shape[axis] = sum(x.shape[axis] for x in inputs)
    joined = dataclasses.replace(first, lo=min(x.lo for x in inputs), hi=max(x.hi for x in inputs))
    return _moved(joined, shape)


def _broadcast(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    (x,) = inputs
    shape = attributes.integers("shape")
    if broadcast_shapes(x.shape, shape) != shape:
        raise Refused(f"shape {x.shape} does not broadcast to {shape}")
    return _moved(x, shape)


def _gather(inputs: Sequence[TensorFacts], _: Attributes) -> Results:
    table, places = inputs
    if places.lo < 0 or places.hi >= table.shape[0]:
        raise Refused(f"an index may be {places.lo} to {places.hi}; the table has {table.shape[0]} entries")
    shape = (*places.shape, *table.shape[1:])
    if len(shape) > RANK_MAX:
        raise Refused(f"the result would have {len(shape)} dimensions; at most {RANK_MAX} are possible")
    return _moved(table, shape)


def _cache_append(inputs: Sequence[TensorFacts], attributes: Attributes) -> Results:
    cache, x, place = inputs
    axis = attributes.integer("axis")
    if axis >= len(cache.shape):
        raise Refused(f"the cache's shape {cache.shape} has no axis {axis}")
    if x.dtype is not cache.dtype:
        raise Refused(f"{x.dtype.name.lower()} is appended to a cache of {cache.dtype.name.lower()}")
    outside = (*cache.shape[:axis], *cache.shape[axis + 1 :])
    if len(x.shape) != len(cache.shape) or (*x.shape[:axis], *x.shape[axis + 1 :]) != outside:
        raise Refused(f"shapes {cache.shape} and {x.shape} differ outside axis {axis}")
    if place.shape != (1,):
        raise Refused(f"the position has shape {place.shape}; it must be (1,)")
    if place.lo < 0 or place.hi + x.shape[axis] > cache.shape[axis]:
        raise Refused(f"{x.shape[axis]} at {place.lo} to {place.hi} leave the cache's {cache.shape[axis]}")
    joined = dataclasses.replace(cache, lo=min(cache.lo, x.lo), hi=max(cache.hi, x.hi))
    return _moved(joined, cache.shape)


RULES_SHAPE: Final[Mapping[str, Rule]] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "concat": _concat,
    "broadcast": _broadcast,
    "gather": _gather,
    "cache_append": _cache_append,
}
