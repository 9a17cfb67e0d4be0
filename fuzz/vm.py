"""
``python -m fuzz.vm``: compiled code against the interpreter, without end or for a number of executions.

An execution is one call with one gas limit in both tiers. A difference is made small, printed as what
``metis vm run`` takes, and ends the run with exit code 1. A run without difference is recorded in
fuzz/RESULTS.json with its command, count and commit.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from random import Random

from fuzz.minimise import minimise
from fuzz.results import record
from fuzz.vm_case import Case, random_case, run_case
from metis.cli.bench.machine import commit

__all__ = ["main"]

GAS_LIMITS_PER_CASE = 600
PROGRESS_INTERVAL_S = 30


def main(arguments: list[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.vm", description="Compiled code against the interpreter.")
    parser.add_argument("--executions", type=int, default=1_000_000, help="how many at least")
    parser.add_argument("--seed", type=int, default=0, help="of the first case; each case takes the next one")
    parser.add_argument("--level", type=int, default=0, choices=(0, 1, 2), help="LLVM's optimisation level")
    parser.add_argument("--record", action=argparse.BooleanOptionalAction, default=True, help="write RESULTS.json")
    chosen = parser.parse_args(arguments)
    executions = cases = frames_compiled = frames_interpreted = 0
    causes: Counter[str] = Counter()
    shown_s = time.monotonic()
    tested_commit = commit()  # before anything runs: the checkout may move on meanwhile
    seed = chosen.seed
    while executions < chosen.executions:
        random = Random(seed)
        case = random_case(random)
        comparison = run_case(case, GAS_LIMITS_PER_CASE, random, chosen.level)
        if comparison.difference is not None:
            _show(seed, minimise(case, lambda smaller: _differs(smaller, chosen.level)), chosen.level)
            return 1
        executions += comparison.executions
        cases += 1
        seed += 1
        frames_compiled += comparison.frames_compiled
        frames_interpreted += comparison.frames_interpreted
        causes.update(comparison.deoptimisations)
        if time.monotonic() - shown_s > PROGRESS_INTERVAL_S:
            shown_s = time.monotonic()
            print(f"{executions:,} executions of {cases:,} cases, no difference", flush=True)
    result = {
        "command": f"python -m fuzz.vm --executions {chosen.executions} --seed {chosen.seed} --level {chosen.level}",
        "commit": tested_commit,
        "executions": executions,
        "cases": cases,
        "differences": 0,
        "frames_compiled": frames_compiled,
        "frames_interpreted": frames_interpreted,
        "deoptimisations": dict(sorted(causes.items())),
    }
    print(json.dumps(result, indent=2))
    if chosen.record:
        record(result)
    return 0


def _differs(case: Case, level: int) -> bool:
    return run_case(case, GAS_LIMITS_PER_CASE, Random(0), level).difference is not None


def _show(seed: int, case: Case, level: int) -> None:
    difference = run_case(case, GAS_LIMITS_PER_CASE, Random(0), level).difference
    print(f"seed {seed}: the tiers differ")
    print(f"  fork {case.fork}, code 0x{case.code.hex()}, call data 0x{case.calldata.hex()}")
    for number, callee in enumerate(case.callees):
        print(f"  callee {number}: 0x{callee.hex()}")
    if difference is not None:
        print(f"  gas {difference['gas_limit']}")
        for key, expected in difference["interpreted"].items():
            if expected != difference["compiled"][key]:
                print(f"  {key}: interpreted {expected!r}, compiled {difference['compiled'][key]!r}")


if __name__ == "__main__":
    sys.exit(main())
