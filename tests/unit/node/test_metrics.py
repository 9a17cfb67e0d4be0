"""The metrics page, read as Prometheus reads it."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace
from typing import Any, cast

from metis.node.metrics import CONTENT_TYPE, metrics_page, metrics_text
from metis.node.mining import StageTimes
from metis.rpc import RpcCounters

SAMPLE = re.compile(r'([a-z_]+)(?:\{([a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*)\})? (\S+)')
"""Text format 0.0.4: a name, labels, a value."""


def node_of(**counters: int) -> Any:
    values = {
        "pool_pending": 0,
        "pool_queued": 0,
        "oldest_state_number": 0,
        "transaction_count": 0,
        "gas_used": 0,
        "log_count": 0,
        "account_read_count": 0,
        "slot_read_count": 0,
        "state_bytes": 0,
        "state_unsaved_bytes": 0,
        "checkpoint_count": 0,
        "checkpoint_failed_count": 0,
        "checkpoint_number": 0,
        "checkpoint_bytes": 0,
        "checkpoint_duration_ns": 0,
        "checkpoint_hold_ns_max": 0,
    } | counters
    return cast(Any, SimpleNamespace(head_number=12, counters=lambda: values))


HEADS: Any = SimpleNamespace(added_count=3, removed_count=1)


def samples(text: str) -> dict[str, float]:
    """Values by name and labels; every line must be one of the format's."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample is not None, line
        key = f"{sample[1]}{{{sample[2]}}}" if sample[2] else sample[1]
        assert key not in found, f"{key} twice"
        found[key] = float(sample[3])
    return found


def test_metrics__of_a_node__say_what_its_counters_say() -> None:
    node = node_of(pool_pending=5, pool_queued=2, gas_used=21_000, log_count=9, transaction_count=4)
    found = samples(metrics_text(node, RpcCounters(), HEADS, StageTimes(), time.time() - 60))
    assert found["metis_head_number"] == 12
    assert (found["metis_pool_pending"], found["metis_pool_queued"]) == (5, 2)
    assert (found["metis_transactions_total"], found["metis_gas_used_total"], found["metis_logs_total"]) == (
        4,
        21_000,
        9,
    )
    assert (found["metis_blocks_added_total"], found["metis_blocks_removed_total"]) == (3, 1)
    assert found['metis_stage_busy_seconds_total{stage="building"}'] == 0
    assert found["metis_uptime_seconds"] >= 60
    assert found["process_resident_memory_bytes"] > 1_000_000


def test_metrics__of_checkpoints__are_in_seconds_and_bytes() -> None:
    node = node_of(checkpoint_count=2, checkpoint_bytes=8_192, checkpoint_duration_ns=1_500_000_000)
    found = samples(metrics_text(node, RpcCounters(), HEADS, StageTimes(), 0))
    assert (found["metis_checkpoints_total"], found["metis_checkpoint_bytes_total"]) == (2, 8_192)
    assert found["metis_checkpoint_seconds_total"] == 1.5


def test_metrics__every_sample__is_announced_with_help_and_type_before_it() -> None:
    rpc = RpcCounters()
    rpc.of_method("eth_call").record(5_000, failed=False)
    announced: set[str] = set()
    for line in metrics_text(node_of(), rpc, HEADS, StageTimes(), 0).splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            assert name not in announced
            assert kind in ("gauge", "counter", "histogram")
            assert name.endswith("_total") == (kind == "counter")
            announced.add(name)
        elif not line.startswith("#"):
            name = re.split("[{ ]", line)[0]
            assert {name, re.sub("_(bucket|sum|count)$", "", name)} & announced, line


def test_metrics__of_a_method__is_a_histogram_that_counts_every_call() -> None:
    rpc = RpcCounters()
    calls_ns = [5_000, 15_000, 15_000, 3_000_000, 60_000_000_000]
    for elapsed_ns in calls_ns:
        rpc.of_method("eth_call").record(elapsed_ns, failed=elapsed_ns > 10**9)
    rpc.of_method("eth_chainId").record(1_000, failed=False)
    found = samples(metrics_text(node_of(), rpc, HEADS, StageTimes(), 0))
    buckets = {
        float(key.partition('le="')[2].removesuffix('"}')): value
        for key, value in found.items()
        if key.startswith('metis_rpc_duration_seconds_bucket{method="eth_call"')
    }
    for bound_s, count in buckets.items():
        assert count == sum(elapsed_ns / 1e9 <= bound_s for elapsed_ns in calls_ns)
    assert buckets[float("inf")] == len(calls_ns)
    assert found['metis_rpc_duration_seconds_count{method="eth_call"}'] == len(calls_ns)
    assert found['metis_rpc_duration_seconds_sum{method="eth_call"}'] == sum(calls_ns) / 1e9
    assert found['metis_rpc_errors_total{method="eth_call"}'] == 1
    assert found['metis_rpc_errors_total{method="eth_chainId"}'] == 0


def test_page__of_metrics__names_the_text_format() -> None:
    page = metrics_page(node_of(), RpcCounters(), HEADS, StageTimes(), 0)
    assert page.content_type == CONTENT_TYPE
    assert page.body.decode().endswith("\n")
