"""
One fuzz case: contracts, call data, a fork; run in tier 0 and in tier 1 under many gas limits.

The engine compares status, output, gas, refund, logs and every change of state
(:func:`metis.engine.compare_tiers`); a case only chooses what to run, and compiles all codes that the runs
meet, code made on the way included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from fuzz.programs import random_program
from metis import engine
from metis.types import Gas
from metis.vm.compiler.options import Options
from metis.vm.compiler.pipeline import Refusal, compile_code

__all__ = ["Case", "Comparison", "random_case", "run_case"]

CALLEES = tuple(bytes([0xC0 + index]) * 20 for index in range(2))
GAS_ENOUGH = 300_000
ROUNDS_MAX = 4
"""BOUND: how often what was met is compiled; created code may create code."""

NEIGHBOURS = 8
"""Out-of-gas is decided by single units, so gas limits come in runs of this many."""


@dataclass(frozen=True, slots=True)
class Case:
    """The fork, the code that is called, what it may call, and the call data."""

    fork: str
    code: bytes
    callees: tuple[bytes, ...]
    calldata: bytes


@dataclass(slots=True)
class Comparison:
    """What running a case showed; ``difference`` is as the engine gives it, with the first gas limit."""

    executions: int = 0
    frames_compiled: int = 0
    frames_interpreted: int = 0
    deoptimisations: dict[str, int] = field(default_factory=dict)
    difference: dict[str, Any] | None = None


def random_case(random: Random) -> Case:
    """Make a case; two of three are for the newest fork."""
    forks = engine.fork_names()
    fork = forks[-1] if random.randrange(3) else random.choice(forks)
    callees = tuple(random_program(random, CALLEES) for _ in range(random.randrange(len(CALLEES) + 1)))
    return Case(fork, random_program(random, CALLEES), callees, random.randbytes(random.choice((0, 4, 36, 68))))


def run_case(case: Case, gas_limit_count: int, random: Random, level: int = 0) -> Comparison:
    """
    Run a case in both tiers.

    Parameters
    ----------
    gas_limit_count : how many gas limits; all from none to enough where that is not more.
    level : LLVM's optimisation level.
    """
    spec = engine.ChainSpec.at_fork(case.fork)
    registry = engine.CodeRegistry("eager")
    enough = engine.run_code(spec, case.code, case.calldata, gas_limit=Gas(GAS_ENOUGH))
    limits = list(_gas_limits(max(1, int(enough.gas_used)), gas_limit_count, random))
    comparison = Comparison()
    contracts = list(zip(CALLEES, case.callees, strict=False))
    # The first runs, nearly all in tier 0, are there to meet the codes.
    few = limits[:: max(1, len(limits) // 8)]
    for _ in range(ROUNDS_MAX):
        comparison.difference = engine.compare_tiers(spec, case.code, case.calldata, few, registry, contracts)
        if comparison.difference is not None or not _compile_met(registry, level):
            break
    if comparison.difference is None:
        comparison.difference = engine.compare_tiers(spec, case.code, case.calldata, limits, registry, contracts)
    comparison.executions = len(limits)
    for row in registry.report():
        comparison.frames_compiled += row["frames_compiled"]
        comparison.frames_interpreted += row["frames_interpreted"]
        for cause, count in row["deoptimisations"].items():
            comparison.deoptimisations[cause] = comparison.deoptimisations.get(cause, 0) + count
    return comparison


def _compile_met(registry: engine.CodeRegistry, level: int) -> int:
    hot = registry.take_hot(0, 1 << 16)
    for code_hash, fork, code in hot:
        result = compile_code(code, fork, Options(level=level))
        if isinstance(result, Refusal):
            registry.refuse(code_hash, fork, result.reason)
        else:
            registry.install(result.data)
    return len(hot)


def _gas_limits(used: int, count: int, random: Random) -> Iterator[int]:
    """All amounts up to what is used where that is few, else runs of neighbours spread over them."""
    if used + 2 <= count:
        yield from range(used + 2)
        return
    chosen = {0, 1, used - 1, used, used + 1, GAS_ENOUGH}
    while len(chosen) < count:
        start = random.randrange(used)
        chosen.update(range(start, min(start + NEIGHBOURS, used)))
    yield from sorted(chosen)
