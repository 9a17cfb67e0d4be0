"""Models that several tests use."""

from __future__ import annotations

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


def two_layers() -> Model:
    """Two products with a table and a residual between them, a reshape and a transpose: all that steps are made of."""
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (2, 4), -100, 100)
    first = builder.constant(DType.INT8, [[3, -4, 5, 1, 7], [5, 6, -7, 2, 1], [1, 2, 3, 4, 5], [-1, 0, 9, -8, 2]])
    wide = builder.node("matmul", x, first, transpose_b=0, accumulator=DType.INT32)
    rows = builder.node("reshape", wide, shape=(5, 2))
    short = builder.node("rescale", rows, builder.constant(DType.INT32, [3]), shift=5, dtype=DType.INT8)
    turned = builder.node("transpose", short, order=(1, 0))
    second = builder.constant(DType.INT8, [[2, 1, -3, 1, 1], [4, -5, 6, 2, 2], [1, 1, 1, 1, 1], [9, 8, 7, 6, 5]])
    out = builder.node("matmul", turned, second, transpose_b=1, accumulator=DType.INT32)
    builder.output("y", builder.node("add", out, x, dtype=DType.INT32))
    return builder.model()
