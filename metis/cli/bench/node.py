"""
``metis bench node``: taking signed transactions in, building a block of 20,000 of them, the time to a receipt,
transactions a second from raw bytes to durable blocks, and gas a second of blocks that are imported.

Both nodes get the same bytes. For intake they do not mine (anvil's quickest mode): single
transactions on ten connections, then batches of 100; then one block is built of all of them.
Every round begins with fresh nodes, which take turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from metis.cli.bench.asking import BenchFailure, Client, request_body
from metis.cli.bench.importing import import_rows
from metis.cli.bench.load import Load, make_load
from metis.cli.bench.report import Row, alternate, document, print_rows, progress
from metis.cli.bench.rivals import NodeProcess, find_anvil, running_anvil, running_metis
from metis.cli.bench.signed import (
    BATCH_SIZE,
    BLOCK_GAS_LIMIT,
    CHAIN_ID,
    SENDER_COUNT,
    batch_body,
    signed_transfers,
)
from metis.cli.bench.sustained import sustained_rows
from metis.cli.output import write_json

__all__ = ["node"]

OURS, RIVAL = "metis", "anvil"
SINGLE_COUNT = 4_000
BLOCK_TRANSACTION_COUNT = 20_000
RECEIPT_COUNT = 200


@dataclass(frozen=True, slots=True)
class _Round:
    """One node's figures: transactions a second, seconds, milliseconds."""

    singles_per_s: float
    batched_per_s: float
    block_s: float
    receipt_ms: float


def node(
    anvil: Annotated[Path | None, typer.Option(help="anvil's program; without it, it is looked for.")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Measure Metis only.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count, after one that does not.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure what becomes of many transfers, beside anvil in the same run."""
    progress(f"signing {BLOCK_TRANSACTION_COUNT:,} transfers …")
    signed = signed_transfers(BLOCK_TRANSACTION_COUNT)
    contenders = {OURS: _runner(signed, _metis)}
    if not alone:
        program = find_anvil(anvil)
        contenders[RIVAL] = _runner(signed, lambda *options: _anvil(program, *options))
    progress(f"{rounds + 1} rounds …")
    found = alternate(contenders, rounds)

    def row(name: str, unit: str, value: Callable[[_Round], float], *, higher_is_better: bool) -> Row:
        figures = {contender: tuple(value(one) for one in values) for contender, values in found.items()}
        return Row(name, unit, figures, higher_is_better)

    rows = [
        row(
            "intake, singles on 10 connections", "transactions/s", lambda one: one.singles_per_s, higher_is_better=True
        ),
        row(f"intake, batches of {BATCH_SIZE}", "transactions/s", lambda one: one.batched_per_s, higher_is_better=True),
        row(f"block of {BLOCK_TRANSACTION_COUNT:,} transfers", "s", lambda one: one.block_s, higher_is_better=False),
        row("send to receipt, instant mining, p50", "ms", lambda one: one.receipt_ms, higher_is_better=False),
    ]
    sustained, bottlenecks = sustained_rows(None if alone else find_anvil(anvil), rounds)
    rows += sustained + import_rows(rounds)
    if as_json:
        write_json(document(rows, OURS, RIVAL) | {"bottlenecks": bottlenecks})
    else:
        print_rows(rows, OURS, RIVAL)
        for name, words in bottlenecks.items():
            typer.echo(f"{name}: {words}")


def _metis(*options: str) -> AbstractContextManager[NodeProcess]:
    return running_metis("--silent", "--chain-id", str(CHAIN_ID), "--gas-limit", str(BLOCK_GAS_LIMIT), *options)


def _anvil(program: Path, *options: str) -> AbstractContextManager[NodeProcess]:
    return running_anvil(program, "--chain-id", str(CHAIN_ID), "--gas-limit", str(BLOCK_GAS_LIMIT), *options)


def _runner(signed: list[bytes], start: Callable[..., AbstractContextManager[NodeProcess]]) -> Callable[[], _Round]:
    def run() -> _Round:
        with start("--no-mining") as (port, _):
            singles = [request_body("eth_sendRawTransaction", f"0x{raw.hex()}") for raw in signed[:SINGLE_COUNT]]
            took_singles = make_load(Load(port, 10, 0, singles))
            rest = signed[SINGLE_COUNT:]
            batches = [batch_body(rest[begin : begin + BATCH_SIZE]) for begin in range(0, len(rest), BATCH_SIZE)]
            took_batches = make_load(Load(port, 2, 0, batches))
            block_s = _mine(Client(port), len(signed))
        with start() as (port, _):
            receipt_ms = _receipt_ms(Client(port), signed[:RECEIPT_COUNT:SENDER_COUNT])
        return _Round(took_singles.per_s, took_batches.per_s * BATCH_SIZE, block_s, receipt_ms)

    return run


def _mine(client: Client, expected: int) -> float:
    """Build one block of everything; seconds until it is there."""
    started_s = time.perf_counter()
    client.ask("evm_mine")
    elapsed_s = time.perf_counter() - started_s
    count = int(client.ask("eth_getBlockTransactionCountByNumber", "latest"), 16)
    if count != expected:
        raise BenchFailure(f"the block holds {count:,} of {expected:,} transactions")
    return elapsed_s


def _receipt_ms(client: Client, signed: list[bytes]) -> float:
    """Median time from sending a transaction until its receipt is read."""
    times_ms = []
    for raw in signed:
        started_s = time.perf_counter()
        sent = client.ask("eth_sendRawTransaction", f"0x{raw.hex()}")
        while client.ask("eth_getTransactionReceipt", sent) is None:
            pass
        times_ms.append((time.perf_counter() - started_s) * 1e3)
    return statistics.median(times_ms)
