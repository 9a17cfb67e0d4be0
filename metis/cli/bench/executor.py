"""
``metis bench executor``: whole blocks by plain revm, by our sequential path, and in parallel.

The blocks are those of 1 Ggas that parallel executors are measured with (47,620 transfers, 37,123 ERC-20 transfers,
6,413 Uniswap V3 swaps), blocks in which much depends on one account, chains in which each transaction needs the one
before, and paid calls of models, which plain revm cannot run. What is timed are the transactions with their receipts,
without the roots of the block around them; all contestants read the same state in memory, plain maps or MetisDB, and
take turns. Signatures are not part of it. Several workers run a block as nodes do. One worker, with which a node runs
in order, is forced to run it as several would, to its end; ``modes`` says so for each number of workers.

``ratio``: ``sequential`` is plain revm's time over our sequential one; by number of workers, our sequential time over
the parallel one; ``processes`` is how many times as much two independent sequential processes do: what this machine's
two cores can give.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from metis.cli.ai_report import has_extra
from metis.cli.bench.asking import BenchFailure
from metis.cli.bench.executor_process import side_by_side_ms
from metis.cli.bench.executor_workloads import INFERENCE_PREFIX, workload
from metis.cli.bench.machine import commit, machine
from metis.cli.bench.report import alternate, progress
from metis.cli.output import columns, write_json

__all__ = ["contracts_folder", "executor"]


@dataclass(frozen=True, slots=True)
class _Block:
    """A block to measure: ``kind`` as :func:`metis.cli.bench.executor_workloads.workload` has it."""

    kind: str
    count: int
    needs_contracts: bool = False
    latency_us: int = 0
    is_for_revm: bool = True
    workers: tuple[int, ...] = ()
    state_store: str = "memory"


LATENCY_WORKER_COUNT: Final = 16
"""Reads in flight at a state that takes its time."""

BLOCKS: Final = (
    _Block("transfers", 47_620),
    _Block("erc20", 37_123, needs_contracts=True),
    _Block("swaps", 6_413, needs_contracts=True),
    _Block("erc20-30-hot", 37_123, needs_contracts=True),
    _Block("erc20-90-hot", 37_123, needs_contracts=True),
    _Block("mixed", 20_000, needs_contracts=True),
    _Block("one-sender", 20_000),
    _Block("relay", 20_000),
    _Block("transfers", 47_620, state_store="metisdb"),
    _Block("erc20", 37_123, needs_contracts=True, state_store="metisdb"),
    _Block("inference-digits", 200, is_for_revm=False),
    _Block("inference-encoder", 200, is_for_revm=False),
    _Block("erc20", 2_000, True, latency_us=100, is_for_revm=False, workers=(LATENCY_WORKER_COUNT,)),
)


def contracts_folder(given: Path | None) -> Path | None:
    """Return the folder with the fixtures' contracts: as given, below METIS_FIXTURES, or beside the checkout."""
    checkout = Path(__file__).resolve().parents[3]
    folder = given or Path(os.environ.get("METIS_FIXTURES", checkout.parent / "shared" / "fixtures")) / "contracts"
    return folder if folder.is_dir() else None


def executor(
    workers: Annotated[str, typer.Option(help="Numbers of workers, as in 1,2,4.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count, after one that does not.")] = 7,
    only: Annotated[list[str] | None, typer.Option(help="Kinds of blocks; may be repeated.")] = None,
    scale: Annotated[int, typer.Option(min=1, help="Divide the sizes of the blocks by this.")] = 1,
    contracts: Annotated[Path | None, typer.Option(help="Folder with the token's and Uniswap's code.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure executors of blocks, beside plain revm in the same run."""
    counts = _worker_counts(workers)
    folder = contracts_folder(contracts)
    rows: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for block in BLOCKS:
        if only and block.kind not in only:
            continue
        if block.needs_contracts and folder is None:
            skipped.append({"name": block.kind, "reason": "no contracts: name their folder with --contracts"})
            continue
        if block.kind.startswith(INFERENCE_PREFIX) and not has_extra():
            skipped.append({"name": block.kind, "reason": "models need the extra `ai`"})
            continue
        rows.append(_row(block, max(1, block.count // scale), folder, block.workers or counts, rounds))
    if as_json:
        command = ["metis", *sys.argv[1:]]
        write_json({"machine": machine(), "commit": commit(), "command": command, "rows": rows, "skipped": skipped})
        return
    typer.echo(f"{machine()}\ncommit {commit()}; median milliseconds of a block\n")
    typer.echo(columns(("block", "txs", "Mgas", "revm", "sequential", "parallel", "ratio"), map(_line, rows), left=1))
    for one in skipped:
        typer.echo(f"not measured: {one['name']}: {one['reason']}", err=True)


def _worker_counts(text: str) -> tuple[int, ...]:
    if not text:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return tuple(sorted({1, 2, 4, 8, 16} & set(range(1, cores + 1)) | {cores}))
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1 or max(counts) > 1_024:
        raise BenchFailure(f"workers: {text!r} is no list of numbers from 1 to 1024")
    return counts


def _row(block: _Block, count: int, folder: Path | None, counts: tuple[int, ...], rounds: int) -> dict[str, Any]:
    progress(f"{block.kind}: making {count:,} transactions …")
    made = workload(block.kind, count, folder, block.state_store)
    gas: set[int] = set()

    def timed(contestant: str, workers: int = 0) -> Callable[[], float]:
        def run() -> float:
            elapsed_ns, gas_used = made.run(contestant, workers, block.latency_us)
            gas.add(gas_used)
            return elapsed_ns / 1e6

        return run

    contestants = {"revm": timed("revm"), "sequential": timed("sequential")}
    if not block.is_for_revm:
        del contestants["revm"]
    modes = {workers: "node" if workers > 1 else "parallel" for workers in counts}
    contestants |= {str(workers): timed(mode, workers) for workers, mode in modes.items()}
    progress(f"{made.name}: {rounds + 1} rounds …")
    found = alternate(contestants, rounds)
    if len(gas) != 1:
        raise BenchFailure(f"{block.kind}: the contestants differ in the gas of the block: {sorted(gas)}")
    median = {name: statistics.median(values) for name, values in found.items()}
    sequential_ms = median["sequential"]
    ratio = {str(workers): sequential_ms / median[str(workers)] for workers in counts}
    row: dict[str, Any] = {
        "name": _name(block, made.name),
        "txs": made.transaction_count,
        "gas": gas.pop(),
        "revm_ms": _rounded(median.get("revm")),
        "sequential_ms": _rounded(sequential_ms),
        "parallel_ms": {str(workers): _rounded(median[str(workers)]) for workers in counts},
        "modes": {str(workers): "as nodes do" if mode == "node" else "forced" for workers, mode in modes.items()},
    }
    if block.is_for_revm:
        ratio["sequential"] = median["revm"] / sequential_ms
    if not block.latency_us:
        process_ms = statistics.median(side_by_side_ms(block.kind, count, folder, block.state_store, rounds))
        row["two_processes_ms"] = _rounded(process_ms)
        ratio["processes"] = 2 * sequential_ms / process_ms
    row["ratio"] = {name: _rounded(value) for name, value in ratio.items()}
    row["rounds"] = {name: [_rounded(value) for value in values] for name, values in found.items()}
    return row


def _name(block: _Block, kind: str) -> str:
    latency = f", {block.latency_us} µs a read" if block.latency_us else ""
    store = ", MetisDB" if block.state_store == "metisdb" else ""
    return kind + latency + store


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    revm_ms = row["revm_ms"]
    return (
        row["name"],
        f"{row['txs']:,}",
        f"{row['gas'] / 1e6:,.0f}",
        "-" if revm_ms is None else f"{revm_ms:,.1f}",
        f"{row['sequential_ms']:,.1f}",
        " ".join(f"{workers}: {value:,.1f}" for workers, value in row["parallel_ms"].items()),
        " ".join(f"{name}: {value:.2f}" for name, value in row["ratio"].items()),
    )
