"""``metis executor fuzz``: random blocks, executed in parallel, must be what they are one after the other."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from metis.cli.app import EXIT_NEGATIVE
from metis.cli.output import write_json
from metis.engine import fuzz_executor

__all__ = ["fuzz"]

WORKER_COUNTS: Final = (1, 2, 4, 8, 16)
CHUNK_BLOCK_COUNT: Final = 100
"""Blocks between two looks at the clock and at Ctrl-C."""
SHOWN_COUNT_MAX: Final = 20


def fuzz(
    seed: Annotated[int, typer.Option(min=0, max=2**63, help="Of the first block; the next has one more.")] = 0,
    blocks: Annotated[int, typer.Option(min=1, help="How many.")] = 1_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Build and verify random blocks with 1, 2, 4, 8 and 16 workers, and one after the other.

    Compared are included and skipped transactions, receipts, changes of state, requests and the block's hash. Exit code
    1 when anything differs.
    """
    started_s = time.monotonic()
    mismatches: list[tuple[int, str]] = []
    for done in range(0, blocks, CHUNK_BLOCK_COUNT):
        mismatches += fuzz_executor(seed + done, min(CHUNK_BLOCK_COUNT, blocks - done), WORKER_COUNTS)
    if as_json:
        shown = [{"seed": number, "difference": what} for number, what in mismatches[:SHOWN_COUNT_MAX]]
        write_json({"blocks": blocks, "mismatches": len(mismatches), "seed": seed, "first": shown})
    else:
        for number, what in mismatches[:SHOWN_COUNT_MAX]:
            typer.echo(f"seed {number}: {what}")
        elapsed_s = time.monotonic() - started_s
        typer.echo(f"{blocks:,} blocks, {len(mismatches):,} differ, {elapsed_s:.1f} s")
    if mismatches:
        raise typer.Exit(EXIT_NEGATIVE)
