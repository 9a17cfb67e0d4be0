"""``python -m benches [CHAPTER …] [--quick]``: measure, and write the chapters of docs/benchmarks.md."""

from __future__ import annotations

import argparse
from typing import Final

from benches import commands, gas, start, vm
from benches.chapter import DOCUMENT, Chapter, Effort, NotMeasured, origin, save, write

CHAPTERS: Final[dict[str, Chapter]] = {
    "vm": vm.measure,
    "gas": gas.measure,
    "executor": commands.EXECUTOR,
    "db": commands.DATABASE,
    "rpc": commands.RPC,
    "node": commands.NODE,
    "start": start.measure,
    "inference": commands.INFERENCE,
}


def main() -> None:
    """Measure the chapters that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=f"of {', '.join(CHAPTERS)}")
    parser.add_argument("--quick", action="store_true", help="fewest rounds, and only print: to try it")
    given = parser.parse_args()
    if unknown := sorted(set(given.chapters) - set(CHAPTERS)):
        parser.error(f"no chapter {', '.join(unknown)}")
    left_out, where = [], origin()
    for name in given.chapters or CHAPTERS:
        print(f"== {name}", flush=True)
        try:
            found = CHAPTERS[name](Effort.QUICK if given.quick else Effort.FULL)
            print(found.text)
            if not given.quick:
                write(name, found, where)
                print(f"written to {DOCUMENT} and {save(name, found, where)}")
        except NotMeasured as why:
            left_out.append(f"{name}: {why}")
    if left_out:
        raise SystemExit("not measured: " + "; ".join(left_out))


if __name__ == "__main__":
    main()
