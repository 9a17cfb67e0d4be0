"""
Transactions a second from signed bytes to blocks: batches over HTTP, as fast as the node takes them.

The clock runs from the first batch until the newest block holds the last transaction. Ours is durable by then (a data
folder, "group"); anvil keeps its chain in memory. The processor time of our node is read while it works (of the whole
process, and of its event loop), and how long it was building blocks and waiting for the disk.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from metis.cli.bench.asking import BenchFailure, Client
from metis.cli.bench.load import Load, make_load
from metis.cli.bench.report import Row, alternate, progress
from metis.cli.bench.rivals import NodeProcess, running_anvil, running_metis
from metis.cli.bench.signed import (
    BATCH_SIZE,
    BLOCK_GAS_LIMIT,
    CHAIN_ID,
    batch_body,
    senders,
    signed_transfers,
    token_of,
    token_setup,
    token_transfers,
)

__all__ = ["sustained_rows"]

TRANSACTION_COUNT: Final = 20_000
CONNECTION_COUNT: Final = 4
INCLUDED_TIMEOUT_S: Final = 60.0
BUSY_SHARE: Final = 0.85
"""From this share of its time on, something counts as what limits the rest."""
ANVIL_OPTIONS: Final = ("--block-time", "1")
"""anvil's quickest way: with instant mining it takes thrice the processor time."""
_STAGE: Final = re.compile(r'^metis_stage_busy_seconds_total\{stage="(\w+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Run:
    """
    One node's figures.

    Attributes
    ----------
    per_s : transactions a second. elapsed_s : of all. block_count : that they took.
    process_s, loop_s : processor time of the node, and of its first thread, the event loop; None where unknown.
    stages_s : how long ours was at each stage of making blocks.
    """

    per_s: float
    elapsed_s: float
    block_count: int
    process_s: float | None
    loop_s: float | None
    stages_s: dict[str, float]


def sustained_rows(anvil: Path | None, rounds: int) -> tuple[list[Row], dict[str, str]]:
    """Measure both kinds of transactions; rows, and by row what limits our node."""
    token = token_of(senders()[0])
    kinds: dict[str, tuple[list[bytes], list[bytes]]] = {
        "sustained transfers": ([], signed_transfers(TRANSACTION_COUNT)),
        "sustained ERC-20 transfers": (token_setup(token), token_transfers(token, TRANSACTION_COUNT)),
    }
    rows, bottlenecks = [], {}
    for name, (setup, signed) in kinds.items():
        progress(f"{name} …")
        contenders = {"metis": _runner(_durable_metis, setup, signed)}
        if anvil is not None:
            contenders["anvil"] = _runner(_anvil(anvil), setup, signed)
        found: dict[str, list[_Run]] = alternate(contenders, rounds)
        figures = {contender: tuple(run.per_s for run in runs) for contender, runs in found.items()}
        label = f"{name}, durable" + (" (anvil: in memory)" if anvil else "")
        rows.append(Row(label, "transactions/s", figures))
        bottlenecks[name] = _bottleneck(found["metis"])
    return rows, bottlenecks


def _bottleneck(runs: list[_Run]) -> str:
    """Say what limits the node in the median run."""
    run = sorted(runs, key=lambda one: one.per_s)[len(runs) // 2]
    shares = {stage: busy_s / run.elapsed_s for stage, busy_s in run.stages_s.items()}
    words = f"{run.block_count} blocks; " + ", ".join(f"{stage} {share:.2f}" for stage, share in shares.items())
    if run.process_s is None or run.loop_s is None:
        return f"{words}; processor time is not known on this system"
    cores = len(os.sched_getaffinity(0))
    node, loop = run.process_s / run.elapsed_s, run.loop_s / run.elapsed_s
    each_us = run.process_s / TRANSACTION_COUNT * 1e6
    words += f"; {each_us:.1f} µs of processor time a transaction; {node:.2f} of {cores} cores, event loop {loop:.2f}"
    if loop > BUSY_SHARE:
        return f"the event loop ({words})"
    if node > BUSY_SHARE * (cores - loop / 2):
        return f"the processors ({words})"
    stage, share = max(shares.items(), key=lambda item: item[1])
    if share > BUSY_SHARE:
        return f"{stage} ({words})"
    return f"waiting for the load maker, whose clients send again when they are answered ({words})"


def _durable_metis() -> AbstractContextManager[NodeProcess]:
    return _InFolder()


class _InFolder:
    """A node with a data folder that goes with it."""

    def __enter__(self) -> NodeProcess:
        self._folder = tempfile.TemporaryDirectory(prefix="metis-bench-")
        options = ("--silent", "--chain-id", str(CHAIN_ID), "--gas-limit", str(BLOCK_GAS_LIMIT))
        self._node = running_metis(*options, "--data-dir", str(Path(self._folder.name) / "chain"))
        return self._node.__enter__()

    def __exit__(self, *failure: object) -> None:
        self._node.__exit__(None, None, None)
        self._folder.cleanup()


def _anvil(program: Path) -> Callable[[], AbstractContextManager[NodeProcess]]:
    fixed = ("--chain-id", str(CHAIN_ID), "--gas-limit", str(BLOCK_GAS_LIMIT))
    return lambda: running_anvil(program, *fixed, *ANVIL_OPTIONS)


def _runner(
    start: Callable[[], AbstractContextManager[NodeProcess]], setup: list[bytes], signed: list[bytes]
) -> Callable[[], _Run]:
    bodies = [batch_body(signed[begin : begin + BATCH_SIZE]) for begin in range(0, len(signed), BATCH_SIZE)]

    def run() -> _Run:
        with start() as (port, pid):
            client = Client(port)
            for raw in setup:
                client.ask("eth_sendRawTransaction", f"0x{raw.hex()}")
            _wait_for(client, len(setup))
            first_block = int(client.ask("eth_blockNumber"), 16)
            before_s, stages_before_s = _processor_s(pid), _stages_s(port)
            load = make_load(Load(port, CONNECTION_COUNT, 0, bodies))
            answered_s = time.perf_counter()
            _wait_for(client, len(setup) + len(signed))
            # Without the start of the load maker's process.
            elapsed_s = load.elapsed_s + time.perf_counter() - answered_s
            after_s, stages_after_s = _processor_s(pid), _stages_s(port)
            blocks = int(client.ask("eth_blockNumber"), 16) - first_block
        process_s, loop_s = (
            (None, None)
            if before_s is None or after_s is None
            else (after_s[0] - before_s[0], after_s[1] - before_s[1])
        )
        stages_s = {stage: busy_s - stages_before_s[stage] for stage, busy_s in stages_after_s.items()}
        return _Run(len(signed) / elapsed_s, elapsed_s, blocks, process_s, loop_s, stages_s)

    return run


def _wait_for(client: Client, count: int) -> None:
    """Wait until so many transactions of all senders are in blocks."""
    deadline_s = time.monotonic() + INCLUDED_TIMEOUT_S
    addresses = [f"0x{sender.hex()}" for sender in senders()]
    while sum(int(client.ask("eth_getTransactionCount", one, "latest"), 16) for one in addresses) < count:
        if time.monotonic() > deadline_s:
            raise BenchFailure(f"not all of {count:,} transactions were mined in {INCLUDED_TIMEOUT_S:.0f} s")
        time.sleep(0.005)


def _stages_s(port: int) -> dict[str, float]:
    """Seconds that our node has been at each stage of making blocks; nothing of a node that does not tell."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            return {stage: float(busy_s) for stage, busy_s in _STAGE.findall(page.read().decode())}
    except urllib.error.URLError:
        return {}


def _processor_s(pid: int) -> tuple[float, float] | None:
    """Processor seconds of a process and of its first thread; None where the system does not tell."""
    try:
        times = {
            task.name: int((task / "schedstat").read_text().split()[0]) / 1e9
            for task in Path(f"/proc/{pid}/task").iterdir()
        }
    except OSError:
        return None
    return sum(times.values()), times[str(pid)]
