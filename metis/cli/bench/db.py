"""
``metis bench db``: MetisDB's reads and durable commits, beside LMDB, redb and the in-memory store in one run.

The rivals are in no wheel: a program that has them (``crates/metis-db-bench``) is built by cargo when the command is
first run in a checkout of the sources. All figures are taken inside that program, so Python is no part of them.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from metis.cli.bench.asking import BenchFailure
from metis.cli.bench.machine import commit, machine
from metis.cli.bench.report import progress
from metis.cli.output import columns, write_json

__all__ = ["database"]

_CHECKOUT: Final = Path(__file__).resolve().parents[3]


def database(
    accounts: Annotated[int, typer.Option(min=10_000, max=100_000_000, help="Accounts of the state.")] = 1_000_000,
    slots: Annotated[
        int, typer.Option(min=0, max=100_000_000, help="Slots, in a hundredth of the accounts.")
    ] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure reads and durable commits; the ratio is the better rival's figure over ours."""
    if not (_CHECKOUT / "crates/metis-db-bench/Cargo.toml").is_file():
        raise BenchFailure("the rivals are built from the sources: run it in a checkout, with cargo installed")
    progress("building the rivals (the first time: minutes)")
    _run("cargo", "build", "--release", "--locked", "--package", "metis-db-bench")
    progress(f"measuring {accounts:,} accounts and {slots:,} slots")
    measured: dict[str, Any] = json.loads(_run("target/release/metis-db-bench", str(accounts), str(slots)))
    if as_json:
        write_json({"machine": machine(), "commit": commit(), **measured})
        return
    rows = [
        (row["name"], row["unit"], _text(row["metis"]), *(_text(row["rivals"].get(name)) for name in _RIVALS))
        for row in measured["rows"]
    ]
    typer.echo(columns(("", "unit", "metis", *_RIVALS), rows))


_RIVALS: Final = ("memory", "lmdb", "redb")


def _text(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,.0f}"


def _run(*command: str) -> str:
    try:
        ended = subprocess.run(  # noqa: S603 - cargo and what it built
            command, cwd=_CHECKOUT, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise BenchFailure(f"{command[0]} cannot be run: {error}") from error
    if ended.returncode:
        raise BenchFailure(f"{command[0]} failed: {ended.stderr.strip()[-500:]}")
    return ended.stdout
