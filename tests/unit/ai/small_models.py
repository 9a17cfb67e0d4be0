"""Models that several tests use."""

from __future__ import annotations

import numpy as np

from metis.ai.graph import DType, GraphBuilder, Model


def counter() -> Model:
    """One input, one state, one constant, two nodes, two outputs: every part of the format."""
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (1, 2), -100, 100)
    total = builder.state("total", DType.INT32, (1, 2), -1000, 1000)
    weights = builder.constant(DType.INT8, [[3, -4], [5, 6]])
    y = builder.node("matmul", x, weights, transpose_b=1, accumulator=DType.INT32)
    more = builder.node("add", total, y, dtype=DType.INT32)
    kept = builder.node("clip", more, lo=-1000, hi=1000, dtype=DType.INT32)
    builder.update(total, kept)
    builder.output("y", y)
    builder.output("total", kept)
    return builder.model()


def layers(count: int) -> Model:
    """Products with constants after each other, a reshape, a transpose, a table and a sum between them."""
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (2, 4), -100, 100)
    random = np.random.default_rng(count)
    table = builder.constant(DType.INT8, [(7 * place) % 100 - 50 for place in range(256)], -128, 127)
    value = x
    for _ in range(count):
        wide = builder.node(
            "matmul",
            value,
            builder.constant(DType.INT8, random.integers(-50, 50, (4, 5))),
            accumulator=DType.INT32,
            transpose_b=0,
        )
        rows = builder.node("reshape", wide, shape=(5, 2))
        short = builder.node("rescale", rows, builder.constant(DType.INT32, [300]), shift=15, dtype=DType.INT8)
        mixed = builder.node("lookup", builder.node("transpose", short, order=(1, 0)), table, first=-128, shift=0)
        value = builder.node("slice", mixed, starts=(0, 0), stops=(2, 4), steps=(1, 1))
    builder.output("y", builder.node("add", value, x, dtype=DType.INT32))
    return builder.model()
