"""Random models: the evaluator against plain big integers and against the proof; their bytes against mutation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from metis.ai.graph import (
    OPERATORS,
    Declaration,
    Graph,
    Model,
    ProvenGraph,
    Weights,
    decode_graph,
    encode_graph,
    validate_graph,
)
from metis.ai.reference import ReferenceEvaluator
from metis.types import GraphDecodeError, InvalidGraph
from tests.property.ai_bigint import Plain, evaluate
from tests.property.ai_graphs import Sample, for_each_model_with, samples


def plain(value: npt.NDArray[np.int64]) -> Plain:
    return Plain(value.shape, tuple(int(element) for element in value.reshape(-1)))


def compare(sample: Sample) -> None:
    """Every tensor of a run equals the second implementation's, has its proven shape and is within its bounds."""
    graph = sample.model.graph
    evaluator = ReferenceEvaluator(sample.model)
    observed: dict[int, Plain] = {}
    run = evaluator.run(sample.inputs, observe=lambda number, value: observed.update({number: plain(value)}))
    declared = [observed[number] for number in range(len(graph.declarations))]

    expected = evaluate(graph, declared)

    assert [observed[number] for number in range(len(observed))] == expected
    for value, facts in zip(expected, evaluator.proven.tensors, strict=True):
        assert value.shape == facts.shape
        assert facts.dtype.lo <= facts.lo <= min(value.elements)
        assert max(value.elements) <= facts.hi <= facts.dtype.hi
    for output in graph.outputs:
        assert plain(run.outputs[output.name].astype(np.int64)) == expected[output.tensor]


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sample=samples())
def test_evaluator__random_model__equals_big_integers_within_proven_bounds(sample: Sample) -> None:
    compare(sample)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_evaluator__each_operator__equals_big_integers_within_proven_bounds(operator: str) -> None:
    for_each_model_with(operator, compare)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sample=samples())
def test_graph__encoded_and_decoded__is_the_same(sample: Sample) -> None:
    raw = encode_graph(sample.model.graph)

    assert decode_graph(raw) == sample.model.graph
    assert validate_graph(decode_graph(raw)) == validate_graph(sample.model.graph)


def at_the_ends(tensor: Declaration) -> npt.NDArray[np.int64]:
    """A declared tensor's elements, by turns the least and the greatest that it allows."""
    count = int(np.prod(tensor.shape))
    return np.resize(np.array([tensor.lo, tensor.hi, tensor.hi], np.int64), count).reshape(tensor.shape)


def run_at_the_ends(proven: ProvenGraph) -> None:
    """A small proven graph with the most extreme elements equals big integers, within its bounds."""
    cost, graph = proven.cost, proven.graph
    if cost.macs > 2_000 or cost.memory_bytes > 100_000 or cost.weights_bytes > 10_000:
        return
    weights = Weights.of(graph, [at_the_ends(tensor) for tensor in graph.constants])
    inputs = {tensor.name: at_the_ends(tensor) for tensor in graph.inputs}
    compare(Sample(Model(graph, weights), inputs, frozenset()))


def refused_or_exact(raw: bytes) -> None:
    """Bytes are refused with a place inside them, or are the only encoding of a graph that is refused or runs."""
    try:
        graph: Graph = decode_graph(raw)
    except GraphDecodeError as error:
        named = bool(error.field) and 0 <= error.offset <= len(raw)
        assert named, str(error)  # noqa: PT017 (whether it is raised at all depends on the bytes)
        return
    assert encode_graph(graph) == raw
    try:
        run_at_the_ends(validate_graph(graph))
    except InvalidGraph as error:
        assert error.field, str(error)  # noqa: PT017


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sample=samples(node_count=3), data=st.data())
def test_graph_bytes__mutated__are_refused_or_run_exactly(sample: Sample, data: st.DataObject) -> None:
    raw = bytearray(encode_graph(sample.model.graph))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["set", "insert", "delete", "edge"])):
            case "set":
                raw[place] = data.draw(st.integers(0, 255))
            case "insert":
                raw.insert(place, data.draw(st.integers(0, 255)))
            case "delete":
                del raw[place]
            case _:
                raw[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        assume(raw)

    refused_or_exact(bytes(raw))


@given(raw=st.binary(max_size=200))
def test_graph_bytes__arbitrary_after_the_magic__are_refused_or_exact(raw: bytes) -> None:
    refused_or_exact(b"METISAIG\x01\x00" + raw)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(sample=samples(node_count=2))
def test_graph_bytes__cut_anywhere__are_refused(sample: Sample) -> None:
    raw = encode_graph(sample.model.graph)
    for length in range(len(raw)):
        with pytest.raises(GraphDecodeError) as caught:
            decode_graph(raw[:length])
        assert caught.value.offset <= length
