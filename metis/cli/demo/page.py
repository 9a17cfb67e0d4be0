"""The report as one HTML page: tables, and charts in SVG; nothing is loaded from anywhere."""

from __future__ import annotations

import html
from collections.abc import Sequence

from metis.cli.demo.results import Results
from metis.cli.demo.tables import Table, tables

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --paper: #fbfbf9; --line: #d9d9d2; --bar: #2563a8; --other: #b9bfcb;
  --good: #1c7a4a; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ee; --paper: #14171f; --line: #343a49; --bar: #6ea8e6;
  --other: #525b70; --good: #5fc48f; --bad: #f2837b; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th.text, td.text { text-align: left; }
.verdict { font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
footer { margin-top: 3rem; color: color-mix(in srgb, var(--ink) 60%, var(--paper)); font-size: .85rem; }
"""

_BAR_HEIGHT, _GAP, _LABEL_WIDTH, _WIDTH = 24, 8, 170, 900


def page(results: Results) -> str:
    """Write the page."""
    verdict = "Everything is as it should be." if results.ok else "Something is not as it should be."
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>Metis: what the demonstration found</title><style>{_STYLE}</style></head><body>",
        "<h1>Hyperion in one run</h1>",
        f'<p id="verdict" class="verdict {"good" if results.ok else "bad"}">{verdict}</p>',
        *(f'<p class="bad">{html.escape(problem)}</p>' for problem in results.problems),
        *_charts(results),
        *(_table(table) for table in tables(results)),
        *(f"<p>Left out: {html.escape(what)}: {html.escape(why)}</p>" for what, why in results.left_out.items()),
        f"<footer>{html.escape(_machine(results))}</footer>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _machine(results: Results) -> str:
    return "Measured in this run on: " + ", ".join(f"{name} {value}" for name, value in results.machine.items())


def _charts(results: Results) -> list[str]:
    charts = []
    if results.language_model is not None:
        model = results.language_model
        bars = [("interpreted", model.interpreted_ms, False), ("compiled", model.compiled_ms, True)]
        charts.append(_bars("A language model in EVM bytecode: milliseconds, less is better", bars, "ms"))
    if results.crowd is not None:
        rates = [
            (f"wave {number}", wave.inferences / (wave.send_ms + wave.mine_ms) * 1e3, True)
            for number, wave in enumerate(results.crowd.waves, 1)
        ]
        charts.append(_bars("Inferences in transactions, per second", rates, "/s"))
    return charts


def _bars(title: str, bars: Sequence[tuple[str, float, bool]], unit: str) -> str:
    """Bars with their values; (label, value, whether it is ours)."""
    most = max((value for _, value, _ in bars), default=0) or 1
    height = len(bars) * (_BAR_HEIGHT + _GAP)
    rows = []
    for place, (label, value, is_ours) in enumerate(bars):
        top = place * (_BAR_HEIGHT + _GAP)
        width = max(1.0, value / most * (_WIDTH - _LABEL_WIDTH - 120))
        middle = top + _BAR_HEIGHT * 0.7
        rows.append(
            f'<text x="{_LABEL_WIDTH - 10}" y="{middle:.0f}" text-anchor="end">{html.escape(label)}</text>'
            f'<rect x="{_LABEL_WIDTH}" y="{top}" width="{width:.1f}" height="{_BAR_HEIGHT}" rx="3" '
            f'fill="var(--{"bar" if is_ours else "other"})"/>'
            f'<text x="{_LABEL_WIDTH + width + 8:.1f}" y="{middle:.0f}">{value:,.1f} {html.escape(unit)}</text>'
        )
    drawing = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{html.escape(title)}">{"".join(rows)}</svg>'
    return f"<h2>{html.escape(title)}</h2>{drawing}"


def _table(table: Table) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=text' if place < table.left else ''}>{html.escape(value)}</{tag}>"
            for place, value in enumerate(values)
        )

    rows = "".join(f"<tr>{cells('td', row)}</tr>" for row in table.rows)
    return f"<h2>{html.escape(table.title)}</h2><table><tr>{cells('th', table.headers)}</tr>{rows}</table>"
