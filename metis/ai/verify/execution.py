"""A task executed again: commitments of all runs, where a worker's trace first differs, and openings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metis.ai.engine import Evaluator
from metis.ai.graph import Graph, Model
from metis.ai.graph.schema import OPERATORS
from metis.ai.graph.weights import NUMPY_TYPES
from metis.ai.receipt import inputs_commitment, outputs_commitment, traces_root, units_of_run
from metis.ai.receipt.fields import Receipt
from metis.ai.runs import Tensor
from metis.ai.trace import TracedRun, first_difference, path_of, step_of
from metis.ai.trace.digest import levels_of
from metis.ai.verify.document import Opening, ReceiptFile
from metis.ai.verify.operator import OperatorCheck
from metis.types import Hash32, InvalidInput, InvalidReceipt

__all__ = ["Executed", "WrongOperator", "execute", "inputs_of", "open_operator", "verify_execution"]


@dataclasses.dataclass(frozen=True, slots=True)
class Executed:
    """What a task's runs commit to."""

    runs: tuple[TracedRun, ...]
    inputs: Hash32
    outputs: Hash32
    trace: Hash32


class WrongOperator(InvalidReceipt):
    """
    A worker's trace differs from the true one.

    Attributes
    ----------
    operator : where it first does: "run", "point", "node", "operator" and "nodes".
    """

    slug = "wrong-operator"

    def __init__(self, problem: str, operator: dict[str, Any]) -> None:
        super().__init__("operator", problem)
        self.operator = operator


def execute(
    evaluator: Evaluator, inputs: Sequence[Mapping[str, Tensor]], wanted: Mapping[int, Sequence[int]] | None = None
) -> Executed:
    """
    Run a task: a model with states goes on from one run to the next.

    Parameters
    ----------
    wanted : for a run, the points whose values are kept.

    Raises
    ------
    InvalidInput : an input is not what the graph declares.
    """
    runs: list[TracedRun] = []
    graph = evaluator.proven.graph
    for number, given in enumerate(inputs):
        states = runs[-1].run.states if runs and graph.states else None
        runs.append(evaluator.run_traced(given, states, (wanted or {}).get(number, ())))
    return Executed(
        tuple(runs),
        inputs_commitment([run.trace.commitments[: len(graph.inputs)] for run in runs]),
        outputs_commitment([run.run.output_hash for run in runs]),
        traces_root([run.trace.root for run in runs]),
    )


def inputs_of(graph: Graph, file: ReceiptFile) -> list[dict[str, Tensor]]:
    """
    The inputs of a receipt's file as arrays.

    Raises
    ------
    InvalidReceipt : they are not the graph's; the field is "inputs".
    """
    names = {tensor.name: tensor for tensor in graph.inputs}
    runs = []
    for run in file.inputs:
        if set(run) != set(names):
            raise InvalidReceipt("inputs", f"the model's are {sorted(names)}, given are {sorted(run)}")
        arrays: dict[str, Tensor] = {}
        for name, raw in run.items():
            tensor = names[name]
            if len(raw) != tensor.dtype.size_bytes * int(np.prod(tensor.shape, dtype=np.int64)):
                raise InvalidReceipt(
                    "inputs", f"{name!r} has {len(raw)} bytes, which is not the graph's {tensor.shape}"
                )
            arrays[name] = np.frombuffer(raw, NUMPY_TYPES[tensor.dtype]).reshape(tensor.shape)
        runs.append(arrays)
    return runs


def check_units(receipt: Receipt, evaluator: Evaluator) -> None:
    """Check what was metered; raises :class:`metis.types.InvalidReceipt` with the field "cost"."""
    cost = evaluator.proven.cost
    units = receipt.runs * units_of_run(cost.macs, cost.moved_bytes)
    if receipt.units != units:
        raise InvalidReceipt(
            "cost", f"{receipt.units} units are metered; {receipt.runs} runs of this model are {units}"
        )


def verify_execution(evaluator: Evaluator, file: ReceiptFile) -> None:
    """
    Execute a receipt's task again, and compare.

    Raises
    ------
    InvalidReceipt : the field is "cost", "inputs", "outputs" or "trace"; where the worker's own commitments are given
        and differ, it is a :class:`WrongOperator`.
    """
    receipt = file.receipt
    check_units(receipt, evaluator)
    inputs = inputs_of(evaluator.proven.graph, file)
    if len(inputs) != receipt.runs:
        raise InvalidReceipt("inputs", f"they are of {len(inputs)} runs; the receipt is of {receipt.runs}")
    try:
        own = execute(evaluator, inputs)
    except InvalidInput as error:
        raise InvalidReceipt("inputs", str(error)) from None
    if own.inputs != receipt.inputs:
        raise InvalidReceipt("inputs", "the receipt is about others")
    if file.outputs:
        _check_outputs(file, own)
    if own.trace != receipt.trace:
        if file.traces:
            raise _difference(evaluator.proven.graph, file, own)
        if own.outputs != receipt.outputs:
            raise InvalidReceipt("outputs", "the model gives others; with the worker's trace the operator can be named")
        raise InvalidReceipt("trace", "the model's runs have another one")
    if own.outputs != receipt.outputs:
        raise InvalidReceipt("outputs", "the trace is right, and the receipt names others than it leads to")


def _check_outputs(file: ReceiptFile, own: Executed) -> None:
    """Outputs beside a receipt are those that it commits to, or the file has been changed."""
    if own.outputs != file.receipt.outputs:
        return
    true = [{name: value.tobytes() for name, value in run.run.outputs.items()} for run in own.runs]
    if [dict(run) for run in file.outputs] != true:
        raise InvalidReceipt("outputs", "those of the file are not those of the receipt")


def _difference(graph: Graph, file: ReceiptFile, own: Executed) -> InvalidReceipt:
    """Where the worker's trace first differs from the true one."""
    points = own.runs[0].trace.points
    fits = len(file.traces) == len(own.runs) and all(len(trace) == len(points) for trace in file.traces)
    claimed = [levels_of(trace) for trace in file.traces]
    roots = [dataclasses.replace(own.runs[0].trace, commitments=trace).root for trace in file.traces]
    if not fits or traces_root(roots) != file.receipt.trace:
        return InvalidReceipt(
            "trace", "the model's runs have another one, and the commitments given are not the receipt's"
        )
    run_levels, own_levels = levels_of(roots), levels_of([run.trace.root for run in own.runs])
    run = first_difference(len(roots), own_levels, lambda level, place: run_levels[level][place])
    assert run is not None  # noqa: S101 - the roots above them differ
    levels, true = claimed[run], levels_of(own.runs[run].trace.commitments)
    index = first_difference(len(points), true, lambda level, place: levels[level][place])
    assert index is not None  # noqa: S101 - the runs' roots differ
    operator = operator_at(graph, points, run, points[index])
    return WrongOperator(
        f"run {run}, {operator['operator']} (tensor {points[index]}): the model gives another", operator
    )


def operator_at(graph: Graph, points: tuple[int, ...], run: int, point: int) -> dict[str, Any]:
    """The operator that gives a point: its node's number and name, and the nodes that lead to it from other points."""
    step = step_of(graph, points, point)
    if not step.nodes:
        name = graph.declarations[point].name
        kind = "input" if point < len(graph.inputs) else "state"
        return {"run": run, "point": point, "node": None, "operator": kind, "nodes": [], "name": name}
    makers = [index for index, node in enumerate(graph.nodes) for _ in range(OPERATORS[node.operator].output_count)]
    node = makers[point - len(graph.declarations)]
    named = {"node": node, "operator": graph.nodes[node].operator}
    nodes = [[index, graph.nodes[index].operator] for index in step.nodes]
    return {"run": run, "point": point, **named, "nodes": nodes}


def open_operator(model: Model, evaluator: Evaluator, file: ReceiptFile, run: int, point: int) -> ReceiptFile:
    """
    What shows one operator of a receipt's task, for whoever has neither inputs nor outputs.

    Raises
    ------
    InvalidInput : there is no such run, or the tensor is no point. InvalidReceipt : the inputs are not the graph's.
    """
    inputs = inputs_of(evaluator.proven.graph, file)
    if not 0 <= run < len(inputs):
        raise InvalidInput(f"run {run}", f"the task has {len(inputs)}")
    check = OperatorCheck(model, point)
    own = execute(evaluator, inputs[: run + 1], {run: check.operands})
    points, values = check.points, own.runs[run].values
    traces = list(file.traces) or [traced.trace.commitments for traced in execute(evaluator, inputs).runs]
    roots = [dataclasses.replace(own.runs[0].trace, commitments=tuple(trace)).root for trace in traces]
    elements = {number: value.tobytes() for number, value in values.items()}
    opening = Opening(
        run,
        roots[run],
        tuple(path_of(roots, run)),
        point,
        Hash32(traces[run][points.index(point)]),
        tuple(path_of(traces[run], points.index(point))),
        {n: (raw, tuple(path_of(traces[run], points.index(n)))) for n, raw in elements.items()},
        check.witness(elements),
    )
    return ReceiptFile(file.receipt, opening=opening)
