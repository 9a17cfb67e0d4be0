"""
``metis bench inference``: one run of a model, beside onnxruntime with floats and with its dynamic int8 quantisation.

All three are made of one float model, run on the same number of threads, and take turns. The models have the shapes of
all-MiniLM-L6-v2 and of a small classifier, with random weights, which decide nothing about speed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from metis.cli.ai_report import require_extra
from metis.cli.bench.asking import BenchFailure
from metis.cli.bench.machine import commit, machine
from metis.cli.bench.report import alternate, progress
from metis.cli.output import columns, write_json

__all__ = ["inference"]

OURS, FLOAT, INT8 = "metis", "onnxruntime_float", "onnxruntime_int8"
TRACED, CHECK = "metis_traced", "check"
# What a round of a small model repeats, so that a round is longer than the clock is coarse.
ROUND_S_MIN = 0.002


def inference(
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of each contender.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count, after one that does not.")] = 25,
    only: Annotated[list[str] | None, typer.Option(help="Models whose name contains this; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Measure models, beside onnxruntime in the same run.

    ``ratio`` is the time of onnxruntime with floats, divided by ours; above 1 we are faster. ``trace`` is what a trace
    adds to a run, ``check`` what checking one of its operators takes of one, both in percent (docs/receipts.md).
    """
    require_extra()
    from metis.ai.measuring import WORKLOADS, contenders

    rows = []
    for name in WORKLOADS:
        if only and not any(part in name for part in only):
            continue
        progress(f"{name}: making the models …")
        with tempfile.TemporaryDirectory() as folder:
            try:
                runs = contenders(name, Path(folder), threads)
            except ImportError as error:
                raise BenchFailure(
                    f"{error}: install onnxruntime, the rival: pip install 'onnxruntime>=1.22,<2'"
                ) from None
            progress(f"{name} …")
            rows.append(_row(name, alternate({key: _timed(run) for key, run in runs.items()}, rounds)))
    if as_json:
        command = ["metis", *sys.argv[1:]]
        write_json({"machine": machine(), "commit": commit(), "command": command, "threads": threads, "rows": rows})
        return
    typer.echo(f"{machine()}\ncommit {commit()}; {threads} thread(s); median and (minimum) milliseconds of a run\n")
    lines = [
        (
            row["name"],
            *(f"{row[f'{key}_ms']:.3g} ({row['minimum_ms'][key]:.3g})" for key in (OURS, FLOAT, INT8)),
            f"{row['ratio']:.3g}",
            f"{row['ratio_int8']:.3g}",
            f"{row['trace_percent']:.0f} %",
            f"{row['check_percent']:.0f} %",
        )
        for row in rows
    ]
    typer.echo(columns(("model", OURS, FLOAT, INT8, "ratio", "ratio int8", "trace", "check"), lines, left=1))


def _timed(run: Callable[[], object]) -> Callable[[], float]:
    """Milliseconds of one run; short ones are repeated."""

    def timed() -> float:
        count = 0
        begin = time.perf_counter()
        while True:
            run()
            count += 1
            passed = time.perf_counter() - begin
            if passed >= ROUND_S_MIN:
                return passed / count * 1e3

    return timed


def _row(name: str, found: dict[str, list[Any]]) -> dict[str, Any]:
    median = {key: statistics.median(values) for key, values in found.items()}
    return {
        "name": name,
        **{f"{key}_ms": round(value, 4) for key, value in median.items()},
        "ratio": round(median[FLOAT] / median[OURS], 3),
        "ratio_int8": round(median[INT8] / median[OURS], 3),
        "trace_percent": round((median[TRACED] / median[OURS] - 1) * 100, 1),
        "check_percent": round(median[CHECK] / median[OURS] * 100, 1),
        "minimum_ms": {key: round(min(values), 4) for key, values in found.items()},
        "rounds": {key: [round(value, 4) for value in values] for key, values in found.items()},
    }
