"""
Run one saved case on both sides: ``python -m tests.differential.replay case.json``.

Prints the differences and exits with 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.differential.case import read_case
from tests.differential.compare import differences
from tests.differential.oracle_client import Oracle

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential.replay", description=__doc__)
    parser.add_argument("case", type=Path, help="a case as a failing differential test printed it")
    parser.add_argument("--oracle-only", action="store_true", help="print the specification's answer, run no engine")
    options = parser.parse_args(arguments)
    case = read_case(options.case.read_text(encoding="utf-8"))
    with Oracle() as oracle:
        expected = oracle.ask(case.to_request())
    if options.oracle_only:
        print(json.dumps(expected, indent=1))
        return 0
    found = differences(case, expected)
    print("\n".join(found) or f"{case.name}: no difference")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
