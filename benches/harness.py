"""
Measuring: contenders run in turn, so that a slow moment of the machine meets all of them.

Wall clock on a small shared machine is noisy; the minimum over the rounds is steadier than the median,
and ratios of one run are steadier than times of two.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from metis.cli.bench.machine import commit, machine
from metis.engine import build_info

CHECKOUT = Path(__file__).resolve().parent.parent
RESULTS = CHECKOUT / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Measurement:
    """
    One contender on one input.

    Attributes
    ----------
    name : ``stage::operation/key=value``.
    contender : who did it; "metis" or a rival.
    amount, unit : how much work one run is, such as 2_551_843 "gas".
    min_s, median_s : seconds per run.
    round_count : how many runs.
    """

    name: str
    contender: str
    amount: int
    unit: str
    min_s: float
    median_s: float
    round_count: int

    @property
    def per_second(self) -> float:
        """Work per second in the best round."""
        return self.amount / self.min_s


@dataclass(frozen=True, slots=True)
class Reading:
    """
    A quantity that was read several times and should be small.

    Attributes
    ----------
    limit : the most it should be, or None where nothing is promised.
    """

    name: str
    unit: str
    least: float
    median: float
    most: float
    round_count: int
    limit: float | None

    @property
    def ratio(self) -> float | None:
        """Limit over median: above 1 is better than promised."""
        return None if self.limit is None else self.limit / self.median


def reading(name: str, unit: str, values: list[float], limit: float | None) -> Reading:
    """Sum up what was read."""
    return Reading(name, unit, min(values), statistics.median(values), max(values), len(values), limit)


def measure(
    name: str, contenders: Mapping[str, Callable[[], object]], amount: int, unit: str, budget_s: float
) -> list[Measurement]:
    """
    Run each contender in turn until the time is spent, at least three rounds, after one that does not count.

    Parameters
    ----------
    amount : work in one run, in ``unit``; the same for all contenders.
    budget_s : about how long to measure, all contenders together.
    """
    for run in contenders.values():
        run()
    times_s: dict[str, list[float]] = {contender: [] for contender in contenders}
    started = time.perf_counter()
    # BOUND: budget_s, plus the three rounds that always run.
    while len(next(iter(times_s.values()))) < 3 or time.perf_counter() - started < budget_s:
        for contender, run in contenders.items():
            begin = time.perf_counter()
            run()
            times_s[contender].append(time.perf_counter() - begin)
    return [
        Measurement(name, contender, amount, unit, min(times), statistics.median(times), len(times))
        for contender, times in times_s.items()
    ]


def origin() -> dict[str, object]:
    """Where numbers are from: machine, commit, command, build."""
    return {
        "commit": commit(),
        "command": ["python", "-m", "benches", *sys.argv[1:]],
        "machine": machine(),
        "engine": build_info(),
    }


def write_results(name: str, measurements: Sequence[Measurement | Reading]) -> Path:
    """Write one bench's measurements with their origin; returns the file, under build/bench."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_bytes(orjson.dumps({"origin": origin(), "measurements": measurements}, option=orjson.OPT_INDENT_2))
    return path
