"""
``metis bench``: this machine's figures beside a rival's, measured in one run.

    machine.py   where numbers are from
    rivals.py    the nodes that are compared, as processes
    asking.py    a small client for what has to be set up
    load.py      the load maker, a process of its own
    rpc.py       requests a second and tail latency of JSON-RPC methods
    db.py        MetisDB beside LMDB and redb
    fanout.py    notifications to many subscribers
    node.py      taking transactions in and building blocks of them
    executor.py  whole blocks by plain revm, one after the other, and in parallel
    executor_process.py  the same in processes of their own
    inference.py one run of a model, beside onnxruntime
    prices.py    operators of models: what they take, beside what they cost
    report.py    rows, as a table and as JSON

A ratio above 1 always means that Metis is better. On a small shared machine wall-clock figures are
noisy: the contenders take turns, and the ratio of the medians counts.
"""

from __future__ import annotations

from typing import ClassVar

from metis.cli.lazy import LazyGroup, new_group

__all__ = ["app"]


class _BenchGroup(LazyGroup):
    targets: ClassVar[dict[str, tuple[str, str]]] = {
        "rpc": ("metis.cli.bench.rpc:rpc", "Requests a second and latency of JSON-RPC methods, beside anvil."),
        "db": ("metis.cli.bench.db:database", "MetisDB's reads and commits, beside LMDB and redb."),
        "executor": ("metis.cli.bench.executor:executor", "Blocks in parallel, beside one after the other and revm."),
        "inference": ("metis.cli.bench.inference:inference", "One run of a model, beside onnxruntime."),
        "prices": ("metis.cli.bench.prices:prices", "Operators of models: their time, beside their gas."),
        "node": ("metis.cli.bench.node:node", "Transactions taken in, and a block of 20,000, beside anvil."),
    }


app = new_group(_BenchGroup)


@app.callback(no_args_is_help=True)
def _bench() -> None:
    """Measure this machine, beside a rival in the same run."""
