"""
``python -m fuzz.signatures``: keys recovered from signatures, eight at a time and one by one by libsecp256k1.

A difference is printed and ends the run with exit code 1; a run without one is recorded in fuzz/RESULTS.json. On a
processor without AVX-512 IFMA there is nothing to compare, and nothing is recorded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from fuzz.results import record
from metis.cli.bench.machine import commit

__all__ = ["main"]

_CHECKOUT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.signatures", description="Recovery of keys from signatures.")
    parser.add_argument("--signatures", type=int, default=10_000_000, help="how many at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action=argparse.BooleanOptionalAction, default=True, help="write RESULTS.json")
    chosen = parser.parse_args(arguments)
    tested_commit = commit()  # before anything runs: the checkout may move on meanwhile
    cargo = ["cargo", "run", "--quiet", "--release", "--locked", "-p", "metis-secp256k1", "--example", "fuzz", "--"]
    program = [*cargo, str(chosen.signatures), str(chosen.seed)]
    done = subprocess.run(program, cwd=_CHECKOUT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(done.stdout)
        return 1
    found = json.loads(done.stdout)
    result = {
        "command": f"python -m fuzz.signatures --signatures {chosen.signatures} --seed {chosen.seed}",
        "commit": tested_commit,
        "signatures": found["signatures"],
        "keys": found["keys"],
        "differences": 0,
    }
    print(json.dumps(result, indent=2))
    if chosen.record and found["lanes"]:
        record(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
