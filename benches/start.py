"""Starting ``metis dev`` as users do: how long until it has answered, and what it holds when nobody asks."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benches.chapter import Effort, Measured, NotMeasured, block
from benches.tables import as_table

START_MS_MAX = 300
"""A node must have answered its first request so soon."""
IDLE_MEMORY_MB_MAX = 120
"""A node that has nothing to do may hold so much memory, in 10^6 bytes."""

IDLE_AFTER_S = 1.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ROUNDS = 10


@contextmanager
def started_node() -> Iterator[tuple[int, bytes]]:
    """Run ``metis dev`` until the block ends; its process id, and its first line of output, once it listens."""
    # As users run it: with compiled modules kept.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [str(Path(sys.executable).with_name("metis")), "dev", "--port", "0", "--json", "--log-level", "error"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables) as process:
        try:
            yield process.pid, process.stdout.readline() if process.stdout else b""
        finally:
            process.terminate()


def processor_s(pid: int) -> float:
    """Processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def ask_once(first_line: bytes) -> None:
    """Ask the node for its chain id, at the address of its first line of output."""
    address = json.loads(first_line)["http"].removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=30)
    body = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}'
    connection.request("POST", "/", body, {"Content-Type": "application/json"})
    if "result" not in json.loads(connection.getresponse().read()):
        raise NotMeasured("metis dev did not answer eth_chainId")
    connection.close()


def resident_mb(pid: int) -> float:
    """Memory that a process holds, in 10^6 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(effort: Effort) -> Measured:
    """Start nodes; the first one, which may compile modules, does not count."""
    start_ms: list[float] = []
    processor_ms: list[float] = []
    memory_mb: list[float] = []
    for _ in range((2 if effort is Effort.QUICK else ROUNDS) + 1):
        at = time.perf_counter()
        with started_node() as (pid, first_line):
            ask_once(first_line)
            start_ms.append((time.perf_counter() - at) * 1e3)
            processor_ms.append(processor_s(pid) * 1e3)
            time.sleep(IDLE_AFTER_S)
            memory_mb.append(resident_mb(pid))
    rows = [
        _row("metis dev, start to first answer", "ms", start_ms[1:], START_MS_MAX),
        _row("metis dev, processor time of that", "ms", processor_ms[1:], None),
        _row("metis dev, memory when idle", "MB", memory_mb[1:], IDLE_MEMORY_MB_MAX),
    ]
    return Measured(block(as_table(rows)), rows)


def _row(name: str, unit: str, values: list[float], limit: int | None) -> dict[str, str | int | float | None]:
    return {
        "what": name,
        "unit": unit,
        "least": min(values),
        "median": statistics.median(values),
        "most": max(values),
        "limit": limit,
    }
