"""
``metis bench prices``: what operators of models take, beside what they cost.

Each operator is measured at shapes drawn at random, awkward ones among them (:mod:`metis.ai.probes`), on the slowest
vector kernel that chains are priced for. ``ratio`` is the time that one gas buys, beside the time it buys in a large
product of matrices: above 1 an operator is underpriced, above 2 a graph of it slows a chain more than its gas says.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from metis.cli.ai_report import require_extra
from metis.cli.bench.machine import commit, machine
from metis.cli.bench.report import progress
from metis.cli.output import columns, write_json

__all__ = ["prices"]

KERNEL: Final = "avx2"
# A run of all copies is as long as this, about, so that a call from Python is nothing beside it.
RUN_S: Final = 0.0004
COPIES_MAX: Final = 256
REPEATS: Final = 5
# Times that a shape that looks underpriced is measured again.
AGAIN: Final = 3
# The product that others are measured by: rows of a sentence, times a layer's weights.
REFERENCE: Final = (64, 384, 1536)


def prices(
    shapes: Annotated[int, typer.Option(min=1, help="Shapes of each operator.")] = 40,
    seed: Annotated[int, typer.Option(help="The first of the shapes' seeds.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="Operators with this name; may be repeated.")] = None,
    worst: Annotated[int, typer.Option(min=1, help="Shapes that are shown of each operator.")] = 1,
    kernel: Annotated[str, typer.Option(help="A kernel of this machine.")] = KERNEL,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Hunt for shapes at which an operator takes more time than its gas pays for."""
    require_extra()
    from metis.ai.probes import probe, probed_operators

    measured, units = {}, []
    for operator in only or probed_operators():
        progress(f"{operator} …")
        # Between all others, so that it meets the same moments.
        units.append(_reference(kernel))
        measured[operator] = [_row(probe(operator, number), kernel) for number in range(seed, seed + shapes)]
    # Of the quieter moments, for a row is the shortest of several, too.
    unit = sorted(units)[len(units) // 4]
    for rows in measured.values():
        for place, row in enumerate(rows):
            if row["ns_per_gas"] > unit:
                # What only a disturbance made slow is not so again.
                again = [_row(probe(row["operator"], row["seed"]), kernel) for _ in range(AGAIN)]
                rows[place] = min([row, *again], key=lambda one: float(one["ns_per_gas"]))
    found = []
    for operator, rows in measured.items():
        for row in rows:
            row["ratio"] = round(row["ns_per_gas"] / unit, 3)
        found.append((operator, sorted(rows, key=lambda row: -row["ratio"])))
    if as_json:
        rows = [{"operator": operator, "shapes": rows} for operator, rows in found]
        origin = {"machine": machine(), "commit": commit(), "command": ["metis", *sys.argv[1:]]}
        write_json({**origin, "kernel": kernel, "reference_ns_per_gas": round(unit, 4), "rows": rows})
        return
    typer.echo(f"{machine()}\ncommit {commit()}; kernel {kernel}; one gas buys {unit:.2f} ns of a product\n")
    lines = [
        (
            operator if not place else "",
            f"{statistics.median(row['ratio'] for row in rows):.2f}" if not place else "",
            f"{row['ratio']:.2f}",
            f"{row['time_ns'] / 1e3:,.2f}",
            f"{row['gas']:,.1f}",
            row["name"],
        )
        for operator, rows in found
        for place, row in enumerate(rows[:worst])
    ]
    typer.echo(columns(("operator", "median", "worst", "µs", "gas", "worst shape"), lines, left=1))


def _reference(kernel: str) -> float:
    """Nanoseconds that one gas buys in a large product of bytes."""
    from metis.ai.graph import DType
    from metis.ai.probes import Operand, Probe

    m, k, n = REFERENCE
    a, b = Operand(DType.INT8, (m, k), -127, 127), Operand(DType.INT8, (n, k), -127, 127)
    product = Probe.of("matmul", (a, b), {"transpose_b": 1, "accumulator": DType.INT32}, 0)
    return statistics.median(float(_row(product, kernel)["ns_per_gas"]) for _ in range(3))


def _row(given: Any, kernel: str) -> dict[str, Any]:
    from metis.ai.graph import validate_graph
    from metis.sdk import InferenceConstants
    from metis.types import Address

    cost = validate_graph(given.graph(1)).cost
    constants = InferenceConstants(Address(bytes(20)))
    gas = cost.macs / constants.macs_per_gas + cost.moved_bytes / constants.moved_bytes_per_gas
    seconds = _time_s(given, kernel)
    return {
        "name": given.name,
        "operator": given.operator,
        "seed": given.seed,
        "time_ns": round(seconds * 1e9, 1),
        "gas": round(gas, 3),
        "macs": cost.macs,
        "moved_bytes": cost.moved_bytes,
        "ns_per_gas": round(seconds * 1e9 / gas, 4),
    }


def _time_s(given: Any, kernel: str) -> float:
    """Seconds that one node takes: the difference that more of them make."""
    once = _model(given, 1)
    alone = _shortest(once, given.inputs, kernel)
    copies = max(2, min(COPIES_MAX, int(RUN_S / max(alone, 1e-7))))
    several = _model(given, 1 + copies)
    # Taking turns, so that a slow moment meets both.
    pairs = [(_shortest(once, given.inputs, kernel), _shortest(several, given.inputs, kernel)) for _ in range(2)]
    least: list[float] = [min(times) for times in zip(*pairs, strict=True)]
    return max(least[1] - least[0], 1e-9) / copies


def _model(given: Any, copies: int) -> Any:
    from metis.ai.graph import encode_graph
    from metis.engine import InferenceModel

    return InferenceModel.from_bytes(encode_graph(given.graph(copies)), b"")


def _shortest(model: Any, inputs: Sequence[bytes], kernel: str) -> float:
    times: list[float] = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        model.run(list(inputs), 1, kernel)
        times.append(time.perf_counter() - begin)
    return min(times)
