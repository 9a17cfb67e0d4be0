"""
A sequential executor in a process of its own: two of them show what the machine's cores can give.

In: the kind, size and store of a workload as arguments, then a line for each round on standard input. Out: a line when
it is ready, and the nanoseconds of each round.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from metis.cli.bench.asking import BenchFailure
from metis.cli.bench.executor_workloads import workload

__all__ = ["side_by_side_ms"]

PROCESS_COUNT = 2


def side_by_side_ms(kind: str, count: int, contracts: Path | None, state_store: str, rounds: int) -> list[float]:
    """
    Run a workload in two processes at once; milliseconds of the slower one in each round.

    One round before them does not count.

    Raises
    ------
    BenchFailure : a process ended early.
    """
    module = "metis.cli.bench.executor_process"
    command = [sys.executable, "-m", module, kind, str(count), str(contracts or ""), state_store]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
        for _ in range(PROCESS_COUNT)
    ]
    try:
        for process in processes:
            _read(process)
        found = []
        for _ in range(rounds + 1):
            for process in processes:
                assert process.stdin is not None  # noqa: S101 - it is a pipe
                process.stdin.write("\n")
                process.stdin.flush()
            found.append(max(int(_read(process)) for process in processes) / 1e6)
        return found[1:]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    line = process.stdout.readline()
    if not line:
        raise BenchFailure("a measuring process ended early")
    return line


def _main() -> None:
    kind, count, contracts, state_store = sys.argv[1:]
    made = workload(kind, int(count), contracts or None, state_store)
    print("ready", flush=True)  # noqa: T201 - what the parent waits for
    for _ in sys.stdin:
        print(made.run("sequential")[0], flush=True)  # noqa: T201 - the result


if __name__ == "__main__":
    _main()
