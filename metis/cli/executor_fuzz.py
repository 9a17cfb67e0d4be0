"""``metis executor fuzz``: random blocks, executed in parallel, must be what they are one after the other."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from metis.cli.app import EXIT_NEGATIVE
from metis.cli.output import write_json
from metis.engine import CodeRegistry, compare_executors, fuzz_executor

__all__ = ["fuzz"]

WORKER_COUNTS: Final = (1, 2, 4, 8, 16)
CHUNK_BLOCK_COUNT: Final = 100
"""Blocks between two looks at the clock and at Ctrl-C."""
COMPILED_CHUNKS: Final = 4
"""One chunk of so many runs compiled code; the codes that it lacks are compiled after it."""
SHOWN_COUNT_MAX: Final = 20
BLOCK_COUNT_DEFAULT: Final = 1_000


@dataclass(slots=True)
class _Found:
    """What a run has found so far; ``counts`` say what the blocks held, where that is counted."""

    block_count: int = 0
    mismatches: list[tuple[int, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def fuzz(
    seed: Annotated[int, typer.Option(min=0, max=2**63, help="Of the first block; the next has one more.")] = 0,
    blocks: Annotated[
        int | None, typer.Option(min=1, help="How many; 1,000, or all that the state tests make.", show_default=False)
    ] = None,
    state_tests: Annotated[
        Path | None,
        typer.Option(help="Shuffle these Ethereum state tests into blocks instead.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Run random blocks with 1, 2, 4, 8 and 16 workers, and one after the other.

    Blocks are built and verified. Compared are included and skipped transactions, receipts, changes of state, requests
    and the block's bytes. Every fourth hundred runs compiled code in parallel, and is interpreted one after the other.

    With --state-tests the transactions of a file, folder or archive of Ethereum state tests are put into blocks of 16
    to 200 by the seed; "first" then names blocks by their number, and "transactions" says what became of them.

    Exit code 1 when anything differs.
    """
    started_s = time.monotonic()
    if state_tests is None:
        found = _random_blocks(seed, blocks or BLOCK_COUNT_DEFAULT)
    else:
        found = _state_test_blocks(state_tests, seed, blocks)
    if as_json:
        write_json(_as_object(found, seed, "block" if state_tests else "seed"))
    else:
        for number, what in found.mismatches[:SHOWN_COUNT_MAX]:
            typer.echo(f"{'block' if state_tests else 'seed'} {number}: {what}")
        if found.counts:
            typer.echo(", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in found.counts.items()))
        elapsed_s = time.monotonic() - started_s
        typer.echo(f"{found.block_count:,} blocks, {len(found.mismatches):,} differ, {elapsed_s:.1f} s")
    if found.mismatches:
        raise typer.Exit(EXIT_NEGATIVE)


def _random_blocks(seed: int, block_count: int) -> _Found:
    found = _Found(block_count)
    registry: CodeRegistry | None = None
    for number, done in enumerate(range(0, block_count, CHUNK_BLOCK_COUNT), start=1):
        count = min(CHUNK_BLOCK_COUNT, block_count - done)
        if number % COMPILED_CHUNKS:
            found.mismatches += fuzz_executor(seed + done, count, WORKER_COUNTS)
            continue
        if registry is None:
            registry = CodeRegistry("eager")
            # Twice the first time: nothing is compiled before it was met.
            fuzz_executor(seed + done, count, WORKER_COUNTS[:1], registry)
            _compile(registry)
        found.mismatches += fuzz_executor(seed + done, count, WORKER_COUNTS, registry)
        _compile(registry)
    return found


def _compile(registry: CodeRegistry) -> None:
    from metis.vm.eager import CompiledRun, compile_met

    compile_met(registry, 1, CompiledRun())


def _state_test_blocks(path: Path, seed: int, block_count_max: int | None) -> _Found:
    from metis.types import FixtureError
    from metis.vm import fixture_files, shuffled_blocks

    found = _Found(counts=dict.fromkeys(("included", "failed", "skipped", "dropped", "gas_used"), 0))
    for block in islice(shuffled_blocks(list(fixture_files([path])), seed), block_count_max):
        compared = compare_executors(block.store, block.spec, block.environment, block.transactions, WORKER_COUNTS)
        found.block_count += 1
        found.counts["dropped"] += block.dropped_count
        for name in ("included", "failed", "skipped", "gas_used"):
            found.counts[name] += compared[name]
        if compared["difference"] is not None:
            found.mismatches.append((block.number, f"{block.fork}: {compared['difference']}"))
    if found.block_count == 0:
        # A run that checks nothing must not look like one that passes.
        raise FixtureError(str(path), "", "no state tests found")
    return found


def _as_object(found: _Found, seed: int, unit: str) -> dict[str, Any]:
    shown = [{unit: number, "difference": what} for number, what in found.mismatches[:SHOWN_COUNT_MAX]]
    counts = {"transactions": found.counts} if found.counts else {}
    return {
        "blocks": found.block_count,
        "mismatches": len(found.mismatches),
        "seed": seed,
        "first": shown,
        **counts,
    }
