"""The engine on tensors larger than its registers, tiles and parts: every kernel equals the reference evaluator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from metis.ai import Evaluator, GraphBuilder, ReferenceEvaluator
from metis.ai.graph import DType
from metis.engine import inference_kernels

EXP2 = (16777216, -11603335, 3882178, -668937)
Build = Callable[[GraphBuilder], int]


def long_rows(builder: GraphBuilder) -> int:
    """Rows that are computed in parts by operators that need whole ones."""
    x = builder.input("x", DType.INT32, (3, 20_001), -(1 << 24), 1 << 24)
    normed = builder.node("layer_norm", x, center=1, shift=2, epsilon=3, fraction_bits=8)
    quantised, greatest = builder.nodes("quantise_rows", normed, dtype=DType.INT16)
    return builder.node("multiply", quantised, greatest, dtype=DType.INT64)


def long_softmax(builder: GraphBuilder) -> int:
    x = builder.input("x", DType.INT64, (2, 40_000), -(1 << 40), 1 << 40)
    mask = builder.node("less", x, builder.constant(DType.INT32, [1 << 20]))
    return builder.node("softmax", x, mask, multiplier=9, shift=20, exp2=EXP2, dtype=DType.INT16)


def long_elements(builder: GraphBuilder) -> int:
    """Elements in parts, with operands that are rows, columns and single values."""
    x = builder.input("x", DType.INT16, (3, 5_000))
    row = builder.constant(DType.INT32, np.arange(5_000) - 2_500)
    column = builder.constant(DType.INT8, [[3], [-5], [7]])
    scaled = builder.node(
        "rescale", builder.node("rescale", x, column, shift=1, dtype=DType.INT32), row, shift=9, dtype=DType.INT32
    )
    table = builder.constant(DType.INT16, (np.arange(1 << 10) ** 2 % 60_000) - 30_000)
    found = builder.node("lookup", builder.node("add", scaled, row, dtype=DType.INT32), table, first=-70_000, shift=7)
    return builder.node("add", found, builder.constant(DType.INT64, [1 << 40]), dtype=DType.INT64)


def attention(builder: GraphBuilder) -> int:
    """Heads of 16 bits with shapes that no tile divides, then a quantised linear layer."""
    x = builder.input("x", DType.INT16, (3, 37, 24), -2000, 2000)
    scores = builder.node("matmul", x, x, transpose_b=1, accumulator=DType.INT32)
    shares = builder.node("softmax", scores, multiplier=9_000, shift=20, exp2=EXP2, dtype=DType.INT16)
    mixed = builder.node("matmul", shares, x, transpose_b=0, accumulator=DType.INT64)
    narrow = builder.node("rescale", mixed, builder.constant(DType.INT8, [1]), shift=15, dtype=DType.INT16)
    turned = builder.node("transpose", narrow, order=(1, 0, 2))
    joined = builder.node("reshape", turned, shape=(37, 72))
    quantised, greatest = builder.nodes("quantise_rows", joined, dtype=DType.INT8)
    weights = builder.constant(DType.INT8, np.random.default_rng(1).integers(-127, 128, (100, 72)))
    sums = builder.node("matmul", quantised, weights, transpose_b=1, accumulator=DType.INT32)
    return builder.node("rescale", sums, greatest, shift=12, dtype=DType.INT32)


def cache(builder: GraphBuilder) -> int:
    """Parts put together, cut out and appended, large enough for several threads."""
    x = builder.input("x", DType.INT8, (4, 50, 64))
    place = builder.constant(DType.INT32, [30])
    kept = builder.node("concat", x, builder.node("broadcast", x, shape=(4, 50, 64)), axis=1)
    appended = builder.node(
        "cache_append",
        kept,
        builder.node("slice", x, starts=(0, 1, 0), stops=(4, 50, 64), steps=(1, 2, 1)),
        place,
        axis=1,
    )
    return builder.node("transpose", appended, order=(2, 0, 1))


def reduced(builder: GraphBuilder) -> int:
    x = builder.input("x", DType.INT16, (7, 300, 11))
    sums = builder.node("reduce_sum", x, axis=1, accumulator=DType.INT32)
    values, _ = builder.nodes(
        "top_k", builder.node("reshape", builder.node("add", x, sums, dtype=DType.INT32), shape=(7, 3300)), k=9
    )
    return values


@pytest.mark.parametrize("build", [long_rows, long_softmax, long_elements, attention, cache, reduced])
@pytest.mark.parametrize("kernel", inference_kernels())
def test_engine__large_tensors__equals_the_reference(build: Build, kernel: str) -> None:
    builder = GraphBuilder()
    builder.output("y", build(builder))
    model = builder.model()
    (declared,) = model.graph.inputs
    value = np.random.default_rng(0).integers(declared.lo, declared.hi, declared.shape, endpoint=True, dtype=np.int64)
    expected = ReferenceEvaluator(model).run({"x": value}).output_hash

    for threads in (1, 2, 3, 4):
        assert Evaluator(model, kernel=kernel, threads=threads).run({"x": value}).output_hash == expected, threads
    assert Evaluator(model, kernel=kernel).run({"x": value}, observe=lambda *_: None).output_hash == expected
