"""``metis db inspect`` and ``metis db verify``: what lies in a store's folder, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from metis.cli.app import EXIT_NEGATIVE
from metis.cli.output import hex_text, write_json
from metis.engine import inspect_database

__all__ = ["inspect", "verify"]

_Folder = Annotated[Path, typer.Argument(help="The store's folder; nobody else may have it open.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def inspect(folder: _Folder, as_json: _Json = False) -> None:
    """Tell the generation, its blocks and the sizes of the files; the pages of the index are not read."""
    _print(inspect_database(str(folder), verify=False), as_json)


def verify(folder: _Folder, as_json: _Json = False) -> None:
    """
    Check all checksums, that the index is one, and that the state has the root its newest block claims.

    Nothing is changed. Exit code 1 when anything is damaged; each damage says where.
    """
    report = inspect_database(str(folder), verify=True)
    _print(report, as_json)
    if report["damage"]:
        raise typer.Exit(EXIT_NEGATIVE)


def _print(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        write_json(report)
        return
    for name, value in report.items():
        if name == "damage":
            continue
        if name == "archive":
            counts = {part.replace("_", " "): f"{count:,}" for part, count in (value or {}).items()}
            text = ", ".join(f"{part} {count}" for part, count in counts.items()) or "none"
        elif isinstance(value, dict):
            text = f"block {value['number']}, state root {hex_text(value['state_root'])}"
        else:
            text = "unknown" if value is None else f"{value:,}"
        typer.echo(f"{name.replace('_', ' ')}: {text}")
    for damage in report["damage"]:
        typer.echo(f"damage: {damage}")
