"""Bytes for the decoders of graphs: graphs of random operators, then mutations of their bytes, and any bytes at all."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np

from metis.ai.graph import OPERATORS, Attribute, AttributeKind, DType, GraphBuilder, encode_graph
from metis.ai.graph.types import AttributeValue
from metis.types import InvalidGraph

__all__ = ["MUTATIONS_PER_GRAPH", "graph_bytes", "mutated"]

MUTATIONS_PER_GRAPH = 250

_SHAPES = ((1,), (3,), (2, 3), (3, 4), (4, 3), (2, 1), (2, 3, 4), (1, 2, 4, 4), (2, 2, 3, 5))
_EDGES = (0, 1, 2, 3, 4, 5, 31, 32, 0x7F, 0x80, 0xFF)


def graph_bytes(random: Random) -> bytes:
    """The bytes of a graph with up to five nodes."""
    builder = GraphBuilder()
    handles = []
    for number in range(random.randint(1, 3)):
        dtype = random.choice(list(DType))
        lo, hi = sorted((random.choice((dtype.lo, -9, 0, 0)), random.choice((0, 1, 9, dtype.hi))))
        handles.append(builder.input(f"x{number}", dtype, random.choice(_SHAPES), lo, hi))
    if random.random() < 0.3:
        state = builder.state("s", DType.INT32, (2, 3), -9, 9)
        builder.update(state, state)
        handles.append(state)
    for _ in range(random.randint(1, 3)):
        shape: tuple[int, ...] = random.choice(_SHAPES)
        values = np.array([random.randint(-3, 9) for _ in range(int(np.prod(shape)))]).reshape(shape)
        handles.append(builder.constant(random.choice(list(DType)), values))
    wanted = random.randint(1, 5)
    for _ in range(40):
        operator = random.choice(list(OPERATORS.values()))
        taken = [random.choice(handles) for _ in range(random.randint(operator.inputs_lo, operator.inputs_hi))]
        shape = builder.facts(taken[0]).shape
        attributes = {attribute.name: _value(random, attribute, shape) for attribute in operator.attributes}
        try:
            handles += builder.nodes(operator.name, *taken, **attributes)
        except InvalidGraph:
            continue
        wanted -= 1
        if not wanted:
            break
    builder.output("y", handles[-1])
    return encode_graph(builder.graph())


def _value(random: Random, attribute: Attribute, shape: tuple[int, ...]) -> AttributeValue:
    """A value that often fits operands of a shape."""
    rank = len(shape)
    match attribute.name:
        case "shape" | "stops":
            return shape
        case "order":
            return tuple(random.sample(range(rank), rank))
        case "starts":
            return (0,) * rank
        case "steps":
            return tuple(random.randint(1, 2) for _ in shape)
        case "exp2":
            return (1 << 24, -11_603_335, 3_882_178, -668_937)
    if attribute.kind is AttributeKind.LIST:
        return tuple(max(attribute.lo, random.randint(0, 2)) for _ in range(attribute.count_lo))
    return max(attribute.lo, min(attribute.hi, random.choice((0, 1, 2, 3, 7, 15))))


def mutated(random: Random, raw: bytes) -> Iterator[bytes]:
    """The bytes, then many with up to four changes, then some that only begin like a graph's."""
    yield raw
    for _ in range(MUTATIONS_PER_GRAPH):
        changed = bytearray(raw)
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            place = random.randrange(len(changed)) if changed else 0
            kind = random.randrange(6)
            if kind == 0:
                changed[place : place + 1] = bytes([random.randrange(256)])
            elif kind == 1:
                changed[place : place + 1] = bytes([random.choice(_EDGES)])
            elif kind == 2:
                changed.insert(place, random.randrange(256))
            elif kind == 3:
                del changed[place : place + 1]
            elif kind == 4:
                changed[place : place + 8] = random.choice(
                    (b"\xff" * 8, b"\x00" * 8, bytes(7) + b"\x80", b"\xff" * 7 + b"\x7f")
                )
            else:
                other = random.randrange(len(changed)) if changed else 0
                changed[place : place + 4] = changed[other : other + 4]
        yield bytes(changed)
    for _ in range(MUTATIONS_PER_GRAPH // 10):
        yield raw[: random.randrange(40)] + random.randbytes(random.randrange(120))
