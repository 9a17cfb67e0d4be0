"""
``metis db torture``: crash tests of MetisDB that anybody can run again with a seed.

Half of the rounds cut the power of a disk in memory at many instants: what was not synced is dropped, reordered and
torn at 1, 64, 512 and 4,096 bytes. In the other half a process that writes to a real folder is killed (SIGKILL) at a
random instant, again and again in the same folder. Plans have blocks, undos, checkpoints and prunes; every other one
begins with an import. Each time the store must open with exactly the state of one step of
the plan: the last one that was acknowledged, or the one under way.
"""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from metis.cli.app import EXIT_NEGATIVE
from metis.cli.output import write_json
from metis.engine import check_database, torture_database
from metis.types import StorageError

__all__ = ["torture"]

_WRITER = """
import sys
from metis.engine import write_database
path, seed, begun = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
write_database(path, seed, begun, begun + 100_000, lambda count: print(count, flush=True))
"""

_DELAY_S_MAX = 0.2
"""A killed writer has lived for so long at most, counted from its first acknowledgement."""


def torture(
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="The same seed cuts at the same instants.")] = 0,
    rounds: Annotated[int, typer.Option(min=1, help="Plans with power cuts, and as many kills.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Kill writers and cut the power, and check every store that is left. Exit code 1 on any failure."""
    images, failures = torture_database(seed, rounds)
    kills, failed = _kill_writers(seed, rounds)
    images += kills
    failures += failed
    if as_json:
        document: dict[str, Any] = {
            "rounds": rounds,
            "images": images,
            "failures": len(failures),
            "first": failures[:20],
        }
        write_json(document)
    else:
        for failure in failures[:20]:
            typer.echo(failure)
        typer.echo(f"{rounds:,} rounds, {images:,} stores opened after a crash, {len(failures):,} failures")
    if failures:
        raise typer.Exit(EXIT_NEGATIVE)


def _kill_writers(seed: int, rounds: int) -> tuple[int, list[str]]:
    choices = random.Random(seed)  # noqa: S311 - the same instants again
    with tempfile.TemporaryDirectory(prefix="metis-torture-") as folder:
        step = 0
        for index in range(rounds):
            acknowledged = _write_and_kill(folder, seed, step, choices.uniform(0, _DELAY_S_MAX))
            try:
                step = check_database(folder, seed, acknowledged)
            except StorageError as error:
                return index + 1, [f"kill {index}, after {acknowledged} steps: {error}"]
    return rounds, []


def _write_and_kill(folder: str, seed: int, begun: int, delay_s: float) -> int:
    command = [sys.executable, "-c", _WRITER, folder, str(seed), str(begun)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:  # noqa: S603 - ourselves
        # What cannot be read was not acknowledged.
        output: Iterable[str] = writer.stdout or ()
        lines = list(itertools.islice(output, 1))
        time.sleep(delay_s)
        writer.kill()
        lines += output
    # A line that the kill cut off was not acknowledged.
    whole = [line for line in lines if line.endswith("\n")]
    return int(whole[-1]) if whole else begun
