"""Small models whose results are worked out by hand in the comments."""

from __future__ import annotations

import numpy as np

from metis.ai.graph import DType, GraphBuilder
from metis.ai.reference import ReferenceEvaluator


def test_perceptron__two_layers__gives_the_integers_worked_out_by_hand() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (1, 3), -100, 100)
    first = builder.constant(DType.INT8, [[1, 2, 3], [-1, 0, 4]])
    bias = builder.constant(DType.INT32, [[10, -700]])
    hidden = builder.node("matmul", x, first, transpose_b=1, accumulator=DType.INT32)
    hidden = builder.node("add", hidden, bias, dtype=DType.INT32)
    hidden = builder.node("clip", hidden, lo=0, hi=DType.INT32.hi, dtype=DType.INT32)
    scale = builder.constant(DType.INT32, [[3, 5]])
    hidden = builder.node("rescale", hidden, scale, shift=3, dtype=DType.INT8)
    second = builder.constant(DType.INT8, [[2], [-7]])
    builder.output("y", builder.node("matmul", hidden, second, transpose_b=0, accumulator=DType.INT32))

    run = ReferenceEvaluator(builder.model()).run({"x": [[5, -6, 20]]})

    # First layer: 5 - 12 + 60 + 10 = 63 and -5 + 80 - 700 = -625, which becomes 0.
    # Scaled: 63 · 3 / 8 = 23.625, rounded 24. Second layer: 24 · 2 + 0 · -7 = 48.
    assert run.outputs["y"].tolist() == [[48]]
    assert run.outputs["y"].dtype == np.int32


def test_perceptron__worked_out_cost__is_the_proven_one() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (4, 100))
    weights = builder.constant(DType.INT8, np.ones((100, 10), np.int64))
    y = builder.node("matmul", x, weights, transpose_b=0, accumulator=DType.INT32)
    builder.output("best", builder.node("arg_max", y))

    cost = ReferenceEvaluator(builder.model()).proven.cost

    # In panels: one block of 64 columns, 100 terms times 16 columns for each of 4 rows; then 4 rows of 10.
    assert cost.macs == 6000 + 2500 + 4 * (1300 + 100 * 16) + 6000 + 4 * 2500 + 40 * 120
    # The product reads 400 and 1,000 bytes and writes 160; the greatest reads 160 and writes 16.
    assert cost.moved_bytes == 400 + 1000 + 160 + 160 + 16
    # Padded to 64 bytes: the input has 448, the product 192, the place of the greatest 64.
    assert cost.memory_bytes == 448 + 192 + 64
    assert cost.weights_bytes == 1024


def test_convolutional_network__one_filter__gives_the_integers_worked_out_by_hand() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (1, 1, 3, 3), -10, 10)
    edge = builder.constant(DType.INT8, [[[[1, -1]]]])
    found = builder.node(
        "conv2d", x, edge, strides=(1, 1), pads=(0, 0, 0, 1), dilations=(1, 1), groups=1, accumulator=DType.INT32
    )
    zero = builder.constant(DType.INT8, [0])
    found = builder.node("maximum", found, zero, dtype=DType.INT32)
    pooled = builder.node("max_pool2d", found, kernel=(2, 2), strides=(2, 2), pads=(0, 0, 1, 1))
    summed = builder.node(
        "sum_pool2d", pooled, kernel=(2, 2), strides=(1, 1), pads=(0, 0, 0, 0), accumulator=DType.INT32
    )
    quarter = builder.constant(DType.INT8, [1])
    mean = builder.node("rescale", summed, quarter, shift=2, dtype=DType.INT8)
    for name, tensor in (("found", found), ("pooled", pooled), ("mean", mean)):
        builder.output(name, tensor)

    run = ReferenceEvaluator(builder.model()).run({"x": [[[[1, 5, 2], [4, 3, 9], [-7, -8, 6]]]]})

    # Each less its right neighbour, zero past the edge: 1-5, 5-2, 2; 4-3, 3-9, 9; -7+8, -8-6, 6; 0 for those below.
    assert run.outputs["found"].tolist() == [[[[0, 3, 2], [1, 0, 9], [1, 0, 6]]]]
    # Greatest of {0, 3, 1, 0}, {2, 9}, {1, 0}, {6}; their sum 19, of which a quarter is 4.75.
    assert run.outputs["pooled"].tolist() == [[[[3, 9], [1, 6]]]]
    assert run.outputs["mean"].tolist() == [[[[5]]]]


def test_long_short_term_memory__one_unit__keeps_cell_and_output() -> None:
    # One unit with 8 fraction bits. Gates are a table of a hard sigmoid, clamp(x / 2 + 128, 0, 256):
    # c' = f · c + i · g, h' = o · c', where f, i, g, o are the four columns of x.
    builder = GraphBuilder()
    x = builder.input("x", DType.INT16, (1, 4), -512, 511)
    cell = builder.state("cell", DType.INT16, (1, 1), -1024, 1024)
    table = builder.constant(DType.INT16, [0, 0, 256, 256])
    parts = [builder.node("slice", x, starts=(0, at), stops=(1, at + 1), steps=(1, 1)) for at in range(4)]
    forget, write, out = (builder.node("lookup", parts[at], table, first=-768, shift=9) for at in (0, 1, 3))
    kept = builder.node("rescale", cell, forget, shift=8, dtype=DType.INT16)
    written = builder.node("rescale", parts[2], write, shift=8, dtype=DType.INT16)
    both = builder.node("add", kept, written, dtype=DType.INT16)
    updated = builder.node("clip", both, lo=-1024, hi=1024, dtype=DType.INT16)
    builder.update(cell, updated)
    builder.output("h", builder.node("rescale", updated, out, shift=8, dtype=DType.INT16))
    unit = ReferenceEvaluator(builder.model())

    first = unit.run({"x": [[0, 100, 300, 511]]})
    second = unit.run({"x": [[-200, -300, 77, 0]]}, first.states)

    # i = 128 + 50 = 178; c = 0 + 300 · 178 / 256 = 208.6, rounded 209; o = 256, so h = 209.
    assert (first.states["cell"].tolist(), first.outputs["h"].tolist()) == ([[209]], [[209]])
    # f = 28: 209 · 28 / 256 = 22.86, rounded 23; i = 0; o = 128: h = 11.5, rounded up to 12.
    assert (second.states["cell"].tolist(), second.outputs["h"].tolist()) == ([[23]], [[12]])


def test_gated_recurrent_unit__two_steps__keeps_its_state_between_runs() -> None:
    # One hidden unit with 8 fraction bits: h' = h + z · (n - h), z = table(x), n = 2x, all in 1/256.
    builder = GraphBuilder()
    x = builder.input("x", DType.INT16, (1, 1), -128, 127)
    h = builder.state("h", DType.INT16, (1, 1), -256, 256)
    gate = builder.constant(DType.INT16, [0, 128, 256])
    z = builder.node("lookup", x, gate, first=-128, shift=7)
    two = builder.constant(DType.INT8, [[2]])
    n = builder.node("multiply", x, two, dtype=DType.INT16)
    distance = builder.node("subtract", n, h, dtype=DType.INT16)
    step = builder.node("rescale", distance, z, shift=8, dtype=DType.INT16)
    moved = builder.node("add", h, step, dtype=DType.INT16)
    updated = builder.node("clip", moved, lo=-256, hi=256, dtype=DType.INT16)
    builder.update(h, updated)
    builder.output("h", updated)
    unit = ReferenceEvaluator(builder.model())

    first = unit.run({"x": [[100]]})
    second = unit.run({"x": [[-32]]}, first.states)

    # 100: z = 128 + (256 - 128) · 100 / 128 = 228; h = 0 + (200 - 0) · 228 / 256 = 178.125, rounded 178.
    assert first.outputs["h"].tolist() == [[178]]
    # -32: z = 0 + 128 · 96 / 128 = 96; h = 178 + (-64 - 178) · 96 / 256 = 178 - 90.75, rounded 178 - 91 = 87.
    assert second.outputs["h"].tolist() == [[87]]


def test_attention__one_head_with_cache__attends_to_the_tokens_that_are_there() -> None:
    # Keys and values are kept; a token attends to itself and those before it. exp2 is 2^24 for every fraction, so the
    # weight of a score is 2 to minus the whole part of its distance from the greatest.
    builder = GraphBuilder()
    query = builder.input("query", DType.INT8, (1, 2), -8, 8)
    place = builder.input("place", DType.INT32, (1,), 0, 3)
    cache = builder.state("cache", DType.INT8, (4, 2), -8, 8)
    kept = builder.node("cache_append", cache, query, place, axis=0)
    builder.update(cache, kept)
    scores = builder.node("matmul", query, kept, transpose_b=1, accumulator=DType.INT32)
    places = builder.constant(DType.INT32, [[0, 1, 2, 3]])
    one = builder.constant(DType.INT8, [1])
    count = builder.node("add", place, one, dtype=DType.INT32)
    mask = builder.node("less", places, count)
    weights = builder.node(
        "softmax", scores, mask, multiplier=1 << 16, shift=0, exp2=(1 << 24, 0, 0, 0), dtype=DType.INT16
    )
    mixed = builder.node("matmul", weights, kept, transpose_b=0, accumulator=DType.INT32)
    builder.output("weights", weights)
    builder.output("mixed", mixed)
    head = ReferenceEvaluator(builder.model())

    first = head.run({"query": [[1, 2]], "place": [0]})
    second = head.run({"query": [[2, 1]], "place": [1]}, first.states)

    # Alone, a token has weight 1, which 15 bits hold as 32767; its value is itself.
    assert first.outputs["weights"].tolist() == [[32767, 0, 0, 0]]
    assert first.outputs["mixed"].tolist() == [[32767, 65534]]
    # Scores: (2, 1)·(1, 2) = 4 and (2, 1)·(2, 1) = 5; powers 2^23 and 2^24, their sum 3 · 2^23 has 25 bits. Reciprocal:
    # 2^46 / (3 · 2^23) = 2796202 (floor); weights 2^23 · 2796202 / 2^31 = 10922.66, rounded 10923, and 21845.3 → 21845.
    assert second.outputs["weights"].tolist() == [[10923, 21845, 0, 0]]
    # 10923 · 1 + 21845 · 2 and 10923 · 2 + 21845 · 1.
    assert second.outputs["mixed"].tolist() == [[54613, 43691]]
    assert second.states["cache"].tolist() == [[1, 2], [2, 1], [0, 0], [0, 0]]


def test_rows__quantised_and_normalised__are_the_integers_worked_out_by_hand() -> None:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT32, (2, 4), -1000, 1000)
    values, greatest = builder.nodes("quantise_rows", x, dtype=DType.INT8)
    normal = builder.node("layer_norm", x, center=1, shift=0, epsilon=1, fraction_bits=8)
    for name, tensor in (("values", values), ("greatest", greatest), ("normal", normal)):
        builder.output(name, tensor)

    run = ReferenceEvaluator(builder.model()).run({"x": [[0, 0, 0, 0], [100, -50, 25, 5]]})

    # 127 · (1, -0.5, 0.25, 0.05) = 127, -63.5, 31.75, 6.35. The reciprocal is rounded down, so -63.5 comes from above.
    assert run.outputs["values"].tolist() == [[0, 0, 0, 0], [127, -63, 32, 6]]
    assert run.outputs["greatest"].tolist() == [[1], [100]]
    # Mean 20, deviations 80, -70, 5, -15: squares 6400 + 4900 + 25 + 225 = 11550, a quarter 2887.5, rounded 2888; with
    # epsilon 2889, whose root is 53.749. 256 · (80, -70, 5, -15) / 53.749 = 381.03, -333.40, 23.81, -71.44.
    assert run.outputs["normal"].tolist() == [[0, 0, 0, 0], [381, -333, 24, -71]]
