"""``python -m benches [NAME …] [--seconds S]``: measure, print a table, write build/bench/NAME.json."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from benches import executor, metisvm, recovery, startup
from benches.harness import Measurement, Reading, write_results

TABLE_WIDTH_COLUMNS = 160

BENCHES: dict[str, Callable[[float], list[Measurement]]] = {
    "executor": executor.run,
    "metisvm": metisvm.run,
    "recovery": recovery.run,
}
READINGS: dict[str, Callable[[float], list[Reading]]] = {"startup": startup.run}


def rate(measurement: Measurement) -> str:
    """Work per second with a readable prefix, such as "1.42 Ggas/s"."""
    value, prefix = measurement.per_second, ""
    for larger in ("k", "M", "G"):
        if value < 1000:
            break
        value, prefix = value / 1000, larger
    return f"{value:.3g} {prefix}{measurement.unit}/s"


def print_table(name: str, measurements: list[Measurement]) -> None:
    """Print one bench's measurements; a ratio above 1 means that the first contender of an input is faster."""
    table = Table(title=name, title_justify="left", box=None)
    for heading in ("what", "who", "one run", "min", "median", "rounds", "rate", "ratio"):
        table.add_column(heading, justify="left" if heading in {"what", "who"} else "right", no_wrap=True)
    first: dict[str, Measurement] = {}
    for measured in measurements:
        ratio = measured.min_s / first.setdefault(measured.name, measured).min_s
        table.add_row(
            measured.name,
            measured.contender,
            f"{measured.amount:,} {measured.unit}",
            f"{measured.min_s * 1e3:,.3f} ms",
            f"{measured.median_s * 1e3:,.3f} ms",
            str(measured.round_count),
            rate(measured),
            "" if first[measured.name] is measured else f"{ratio:.2f}",
        )
    # The names matter more than the width of the terminal.
    Console(width=max(Console().width, TABLE_WIDTH_COLUMNS)).print(table)


def print_readings(name: str, readings: list[Reading]) -> None:
    """Print what was read, beside what is promised; a ratio above 1 means that the median is better than that."""
    table = Table(title=name, title_justify="left", box=None)
    for heading in ("what", "min", "median", "max", "rounds", "limit", "ratio"):
        table.add_column(heading, justify="left" if heading == "what" else "right", no_wrap=True)
    for read in readings:
        spread = [f"{value:,.1f} {read.unit}" for value in (read.least, read.median, read.most)]
        limit = "" if read.limit is None else f"{read.limit:,.0f} {read.unit}"
        ratio = "" if read.ratio is None else f"{read.ratio:.2f}"
        table.add_row(read.name, *spread, str(read.round_count), limit, ratio)
    Console(width=max(Console().width, TABLE_WIDTH_COLUMNS)).print(table)


def main() -> None:
    """Run the benches that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join([*BENCHES, *READINGS])}")
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long to measure one input (default 3)")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(BENCHES) - set(READINGS)):
        parser.error(f"no bench {', '.join(unknown)}")
    for name in arguments.names or [*BENCHES, *READINGS]:
        results: Sequence[Measurement | Reading]
        if name in READINGS:
            print_readings(name, results := READINGS[name](arguments.seconds))
        elif results := BENCHES[name](arguments.seconds):
            print_table(name, results)
        if results:
            print(f"written to {write_results(name, results)}")


if __name__ == "__main__":
    main()
