"""Random models on the engine: equal to the reference evaluator, and graphs judged as Python judges them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from metis.ai import Evaluator, Limits, ReferenceEvaluator
from metis.ai.graph import OPERATORS, GraphBuilder, ProvenGraph, decode_graph, encode_graph, validate_graph
from metis.ai.reference import Run, Tensor
from metis.ai.trace import observed_trace
from metis.engine import inference_kernels, prove_graph
from metis.types import GraphDecodeError, InvalidGraph
from tests.property.ai_graphs import Sample, for_each_model_with, samples


def same(a: Run, b: Run) -> bool:
    return a.output_hash == b.output_hash and {name: value.tobytes() for name, value in a.states.items()} == {
        name: value.tobytes() for name, value in b.states.items()
    }


def compare(sample: Sample) -> None:
    """Every tensor of a run operator by operator, and the results of every kernel and number of threads."""
    expected: dict[int, bytes] = {}
    reference = ReferenceEvaluator(sample.model)
    run = reference.run(sample.inputs, observe=lambda number, value: expected.update({number: value.tobytes()}))

    def check(number: int, value: Tensor) -> None:
        assert value.astype(np.int64).tobytes() == expected[number], reference.proven.tensors[number]

    trace = observed_trace(reference, sample.inputs).trace
    for kernel in inference_kernels():
        evaluator = Evaluator(sample.model, kernel=kernel)
        traced = evaluator.run_traced(sample.inputs)
        assert traced.trace == trace, kernel
        assert same(traced.run, run), kernel
        assert same(evaluator.run(sample.inputs, observe=check), run), kernel
        for threads in (1, 3):
            evaluator.threads = threads
            assert same(evaluator.run(sample.inputs), run), (kernel, threads)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sample=samples())
def test_engine__random_model__equals_the_reference(sample: Sample) -> None:
    compare(sample)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_engine__each_operator__equals_the_reference(operator: str) -> None:
    for_each_model_with(operator, compare)


Judgement = tuple[str, str, int] | dict[str, object]


def facts_of(proven: ProvenGraph) -> dict[str, object]:
    cost = proven.cost
    return {
        "tensors": [(facts.dtype, facts.shape, facts.lo, facts.hi) for facts in proven.tensors],
        "node_macs": list(proven.node_macs),
        "cost": (cost.macs, cost.moved_bytes, cost.memory_bytes, cost.weights_bytes),
    }


def judged_by_python(raw: bytes, limits: Limits) -> Judgement:
    try:
        return facts_of(validate_graph(decode_graph(raw), limits))
    except GraphDecodeError as error:
        return "decode", error.field, error.offset
    except InvalidGraph as error:
        return "graph", error.field, 0


def judged_by_engine(raw: bytes, limits: Limits) -> Judgement:
    try:
        return prove_graph(raw, (limits.weights_bytes, limits.memory_bytes, limits.macs))
    except GraphDecodeError as error:
        return "decode", error.field, error.offset
    except InvalidGraph as error:
        return "graph", error.field, 0


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sample=samples(node_count=4), data=st.data())
def test_graph_bytes__mutated__are_judged_as_python_judges_them(sample: Sample, data: st.DataObject) -> None:
    raw = bytearray(encode_graph(sample.model.graph))
    for _ in range(data.draw(st.integers(0, 4))):
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
    limits = data.draw(
        st.sampled_from([Limits(), Limits(0, 1 << 32, 1 << 44), Limits(macs=64), Limits(memory_bytes=99)])
    )

    assert judged_by_engine(bytes(raw), limits) == judged_by_python(bytes(raw), limits)


@given(raw=st.binary(max_size=200))
def test_graph_bytes__arbitrary_after_the_magic__are_judged_as_python_judges_them(raw: bytes) -> None:
    raw = b"METISAIG\x01\x00" + raw
    assert judged_by_engine(raw, Limits()) == judged_by_python(raw, Limits())


def test_concat__operand_without_the_axis__is_refused_by_both() -> None:
    builder = GraphBuilder()
    from metis.ai.graph import DType

    a, b = builder.input("a", DType.INT8, (2, 3)), builder.input("b", DType.INT8, (2,))
    with pytest.raises(InvalidGraph, match="differ outside axis"):
        builder.node("concat", a, b, axis=1)
