"""Rows of measurements as aligned columns."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from metis.cli.output import columns

Row: TypeAlias = Mapping[str, Any]


def as_table(rows: Sequence[Row], hidden: frozenset[str] = frozenset()) -> str:
    """
    All figures of the rows, a column each: name and unit, then the rest in the order in which they first appear.

    What is a figure by contestant (``{"ratio": {"2": 1.8}}``) has a column for each; of ``rounds``, a list by
    contestant, the last column says how far the rounds lay apart.
    """
    flat = [_flat(row, hidden) for row in rows]
    headings = list(dict.fromkeys(heading for row in flat for heading in row))
    if "spread" in headings:
        headings.remove("spread")
        headings.append("spread")
    first = [heading for heading in ("name", "unit") if heading in headings]
    headings = [*first, *(heading for heading in headings if heading not in first)]
    left = next((place for place, heading in enumerate(headings) if _is_number(flat, heading)), len(headings))
    lines = [[shown(row.get(heading)) for heading in headings] for row in flat]
    return columns(headings, lines, left=left)


def shown(value: Any) -> str:
    """A figure with four digits that count, or as many as it has before the point."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def spread(rounds: Mapping[str, Sequence[float]]) -> str:
    """The widest of the contestants' rounds: greatest less least, of the median."""
    widths = [
        (max(values) - min(values)) / middle
        for values in rounds.values()
        if values and (middle := statistics.median(values))
    ]
    return f"{max(widths) * 100:.0f} %" if widths else "-"


def _flat(row: Row, hidden: frozenset[str]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        heading = name.replace("_", " ")
        if name == "rounds":
            flat["spread"] = spread(value)
        elif name in hidden or isinstance(value, list):
            continue
        elif isinstance(value, Mapping):
            flat |= {f"{heading} {part}".replace("_", " "): figure for part, figure in value.items()}
        else:
            flat[heading] = value
    return flat


def _is_number(rows: Sequence[Row], heading: str) -> bool:
    return heading == "spread" or any(isinstance(row.get(heading), int | float) for row in rows)
