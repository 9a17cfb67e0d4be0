"""
``metis bench db``: MetisDB's reads, roots and durable commits, beside LMDB, redb and the in-memory store in one run.

The rivals are in no wheel: a program that has them (``crates/metis-db-bench``) is built by cargo when the command is
first run in a checkout of the sources. All figures are taken inside that program, so Python is no part of them.

Reads are of one account by its address: of 10,000 hot ones (spread over all accounts), of any account, and of batches;
each read waiting for the one before ("each after the one before": what one read takes) or not ("independent": what a
core does in a time). Roots are keys hashed, tries walked, nodes encoded and hashed, on one thread and on all, with each
set of instructions that the processor has. Transfers between any accounts are run as those of a block, with a state
that is told what they will read, and with one that is not. What the disk takes is in the row of commits alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from metis.cli.bench.asking import BenchFailure
from metis.cli.bench.machine import commit, machine
from metis.cli.bench.report import progress
from metis.cli.output import columns, write_json

__all__ = ["database"]

_CHECKOUT: Final = Path(__file__).resolve().parents[3]


class _Part(Enum):
    """A part of what is measured."""

    ROOTS = "roots"
    STORE = "store"


def database(
    accounts: Annotated[int, typer.Option(min=10_000, max=100_000_000, help="Accounts of the state.")] = 1_000_000,
    slots: Annotated[
        int, typer.Option(min=0, max=100_000_000, help="Slots, in a hundredth of the accounts.")
    ] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, help="Roots of each kind.")] = 30,
    only: Annotated[_Part | None, typer.Option(help="Only the roots, or only the reads and commits.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure reads, roots and durable commits; the ratio is the better rival's figure over ours."""
    if not (_CHECKOUT / "crates/metis-db-bench/Cargo.toml").is_file():
        raise BenchFailure("the rivals are built from the sources: run it in a checkout, with cargo installed")
    progress("building the rivals (the first time: minutes)")
    _run("cargo", "build", "--release", "--locked", "--quiet", "--package", "metis-db-bench")
    arguments = ["--accounts", str(accounts), "--slots", str(slots), "--rounds", str(rounds)]
    arguments += ["--only", only.value] if only else []
    measured: dict[str, Any] = json.loads(_run("target/release/metis-db-bench", *arguments))
    if as_json:
        command = ["metis", *sys.argv[1:]]
        write_json({"machine": machine(), "commit": commit(), "command": command, **measured})
        return
    rows = [
        (
            row["name"],
            row["unit"],
            _text(row["metis"]),
            _text(row["p99"]),
            *(_text(row["rivals"].get(name)) for name in _RIVALS),
        )
        for row in measured["rows"]
    ]
    typer.echo(f"{machine()}\ncommit {commit()}; medians; {accounts:,} accounts, {slots:,} slots\n")
    typer.echo(columns(("", "unit", "metis", "p99", *_RIVALS), rows))


_RIVALS: Final = ("memory", "lmdb", "redb")


def _text(figure: float | None) -> str:
    if figure is None:
        return ""
    return f"{figure:,.3f}" if figure < 10 else f"{figure:,.0f}"


def _run(*command: str) -> str:
    try:
        ended = subprocess.run(  # noqa: S603 - cargo and what it built
            command, cwd=_CHECKOUT, stdout=subprocess.PIPE, text=True, check=False
        )
    except OSError as error:
        raise BenchFailure(f"{command[0]} cannot be run: {error}") from error
    if ended.returncode:
        raise BenchFailure(f"{command[0]} ended with {ended.returncode}: its last words are above")
    return ended.stdout
