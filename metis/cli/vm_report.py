"""``metis vm report``: what was compiled when a file's cases ran, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metis.cli.output import columns, write_json

if TYPE_CHECKING:
    from metis import engine

__all__ = ["report"]


def report(
    path: Annotated[Path, typer.Argument(help="A state-test file.", show_default=False)],
    level: Annotated[int, typer.Option(min=0, max=2, help="LLVM's optimisation level.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """
    Run the first case of every test in a file, compile what it meets, run it again, and say what happened.

    A row is a contract's code for one fork, by the gas it used. EIP-7825's cap on a transaction's gas is off.
    """
    rows = _run(path, level).report()
    if as_json:
        write_json({"rows": rows})
    else:
        typer.echo(_as_text(rows))


def _run(path: Path, level: int) -> engine.CodeRegistry:
    from metis import engine
    from metis.types import FixtureError
    from metis.vm import CaseRunner, Machine, fixture_files, parse_state_tests, read_fixture
    from metis.vm.eager import CompiledRun, compile_met

    registry = engine.CodeRegistry("eager")
    (file,) = fixture_files([path])
    for test in parse_state_tests(file.path, read_fixture(file)):
        if isinstance(test, FixtureError):
            raise test
        if not test.cases:
            continue
        runner = CaseRunner(test, Machine(registry))
        runner.execute(test.cases[0], transaction_gas_cap=False)
        while compile_met(registry, 1, CompiledRun(), level):
            runner.execute(test.cases[0], transaction_gas_cap=False)
    return registry


def _as_text(rows: list[dict[str, Any]]) -> str:
    return columns(
        ("code", "fork", "state", "gas interpreted", "gas compiled", "frames", "left", "bytes"),
        [
            (
                f"0x{row['code_hash'].hex()[:16]}",
                row["fork"],
                row["state"] if row["refusal"] is None else f"refused: {row['refusal']}",
                f"{row['gas_interpreted']:,}",
                f"{row['gas_compiled']:,}",
                f"{row['frames_interpreted'] + row['frames_compiled']:,}",
                " ".join(f"{cause} {count:,}" for cause, count in row["deoptimisations"].items() if count) or "never",
                f"{row['code_bytes']:,}",
            )
            for row in rows
        ],
        left=3,
    )
