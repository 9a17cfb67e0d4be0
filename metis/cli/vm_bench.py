"""``metis vm bench``: how fast whole transactions are in plain revm, tier 0 and compiled code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metis.cli.output import columns, write_json

if TYPE_CHECKING:
    from metis.vm.bench import Row

__all__ = ["as_text", "bench"]


def bench(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", help="State-test files, plain or .xz, or folders.", show_default=False),
    ],
    rounds: Annotated[int, typer.Option(min=1, help="Turns that each contestant takes.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """
    Measure the first case of every test: whole transactions, the contestants taking turns.

    revm is revm's own main loop; tier 0 its interpreter under our handler; tier 1 the same with
    compiled code. EIP-7825's cap on a transaction's gas is off. Shown is the shortest time; ratio is
    revm's over tier 1's, so above 1 compiled code is faster.
    """
    from metis.vm import fixture_files
    from metis.vm.bench import bench_file

    rows = [row for file in fixture_files(paths) for row in bench_file(file, rounds)]
    if as_json:
        write_json(_as_object(rows))
    else:
        typer.echo(as_text(rows))


def _as_object(rows: list[Row]) -> dict[str, Any]:
    from metis import engine
    from metis.cli.bench.machine import commit, machine
    from metis.vm.bench import geometric_means

    return {
        "machine": machine(),
        "commit": commit(),
        "target": engine.machine_target(),
        "rows": [
            {
                "name": row.name,
                "gas": row.gas,
                "revm_ms": row.minimum_ms["revm"],
                "tier0_ms": row.minimum_ms["tier0"],
                "tier1_ms": row.minimum_ms["tier1"],
                "median_ms": row.median_ms,
                "ratio": row.ratio,
                "compile_ms": row.compile_ms,
                "longest_compile_ms": row.longest_compile_ms,
                "class": row.kind,
                "refusals": row.refusals,
                "frames_compiled_percent": row.compiled_share * 100,
                "deoptimisations": row.deoptimisations,
            }
            for row in rows
        ],
        "geomean_ratio": geometric_means(rows),
    }


def as_text(rows: list[Row]) -> str:
    """Return the rows as a table, with the geometric means below it."""
    from metis.vm.bench import geometric_means

    table = columns(
        ("workload", "class", "gas", "revm ms", "tier 0 ms", "tier 1 ms", "Ggas/s", "ratio", "compile ms", "longest"),
        [
            (
                row.name,
                row.kind,
                f"{row.gas:,}",
                *(f"{row.minimum_ms[contestant]:.4f}" for contestant in ("revm", "tier0", "tier1")),
                f"{row.gas / row.minimum_ms['tier1'] / 1e6:.2f}",
                f"{row.ratio:.2f}",
                f"{row.compile_ms:,.0f}",
                f"{row.longest_compile_ms:,.0f}",
            )
            for row in rows
        ],
        left=2,
    )
    means = ", ".join(f"{kind} {mean:.2f}" for kind, mean in geometric_means(rows).items())
    return f"{table}\n\ngeometric means of the ratios: {means}"
