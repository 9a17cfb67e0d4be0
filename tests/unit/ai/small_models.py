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
