"""Rows of a bench: one figure of ours, one of the rival, and their ratio."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from metis.cli.bench.machine import commit, machine

__all__ = ["Row", "alternate", "document", "print_rows", "progress"]


@dataclass(frozen=True, slots=True)
class Row:
    """
    One figure.

    Attributes
    ----------
    name : what was measured. unit : "requests/s", "ms", …
    figures : by contender, one value per round. higher_is_better : whether more of the unit is better.
    """

    name: str
    unit: str
    figures: Mapping[str, tuple[float, ...]]
    higher_is_better: bool = True

    def median(self, contender: str) -> float | None:
        """Median over the rounds; None for a contender that was not there."""
        values = self.figures.get(contender)
        return statistics.median(values) if values else None

    def ratio(self, ours: str, rival: str) -> float | None:
        """How many times better ours is; above 1 we are."""
        mine, theirs = self.median(ours), self.median(rival)
        if mine is None or theirs is None or not mine or not theirs:
            return None
        return mine / theirs if self.higher_is_better else theirs / mine


def document(rows: list[Row], ours: str, rival: str) -> dict[str, Any]:
    """Return the machine-readable result: machine, commit, rows."""
    return {
        "machine": machine(),
        "commit": commit(),
        "command": ["metis", *sys.argv[1:]],
        "rows": [
            {
                "name": row.name,
                ours: _rounded(row.median(ours)),
                rival: _rounded(row.median(rival)),
                "unit": row.unit,
                "ratio": _rounded(row.ratio(ours, rival)),
                "rounds": {
                    contender: [_rounded(value) for value in values] for contender, values in row.figures.items()
                },
            }
            for row in rows
        ],
    }


def print_rows(rows: list[Row], ours: str, rival: str) -> None:
    """Print a table: medians, spread of our rounds, ratio."""
    from metis.cli.output import columns

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"

    def spread(row: Row) -> str:
        values = row.figures.get(ours, ())
        return f"{shown(min(values))} to {shown(max(values))}" if values else "-"

    lines = [
        (
            row.name,
            row.unit,
            shown(row.median(ours)),
            spread(row),
            shown(row.median(rival)),
            shown(row.ratio(ours, rival)),
        )
        for row in rows
    ]
    head = f"{machine()}\ncommit {commit()}; median of the rounds; a ratio above 1 means that {ours} is better\n"
    typer.echo(head)
    typer.echo(columns(("what", "unit", ours, "spread", rival, "ratio"), lines, left=2))


def alternate(contenders: Mapping[str, Callable[[], Any]], round_count: int) -> dict[str, list[Any]]:
    """Let the contenders take turns, after one round that does not count; returns each one's results."""
    results: dict[str, list[Any]] = {name: [] for name in contenders}
    for number in range(round_count + 1):
        for name, run in contenders.items():
            found = run()
            if number:
                results[name].append(found)
    return results


def progress(line: str) -> None:
    """Say what is being measured, to standard error."""
    typer.echo(line, err=True)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
