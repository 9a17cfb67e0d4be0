"""Numbers for Prometheus (text format 0.0.4), made when somebody asks."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

from metis.engine import Node
from metis.node.heads import Heads
from metis.node.mining import StageTimes
from metis.rpc import PageContent, RpcCounters
from metis.rpc.counters import LATENCY_BOUNDS_US

__all__ = ["CONTENT_TYPE", "metrics_page", "metrics_text"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_COUNTERS = (
    # engine counter, metric, kind, help
    ("pool_pending", "metis_pool_pending", "gauge", "Executable transactions in the pool."),
    ("pool_queued", "metis_pool_queued", "gauge", "Transactions behind a gap of nonces."),
    ("oldest_state_number", "metis_oldest_state_number", "gauge", "Oldest block whose state is kept."),
    ("transaction_count", "metis_transactions_total", "counter", "Transactions of blocks that joined the chain."),
    ("gas_used", "metis_gas_used_total", "counter", "Gas used by blocks that joined the chain."),
    ("log_count", "metis_logs_total", "counter", "Logs of blocks that joined the chain."),
    ("account_read_count", "metis_state_account_reads_total", "counter", "Accounts that blocks read from the store."),
    ("slot_read_count", "metis_state_slot_reads_total", "counter", "Slots that blocks read from the store."),
    ("state_bytes", "metis_state_bytes", "gauge", "MetisDB's index and tries, in memory."),
    ("state_unsaved_bytes", "metis_state_unsaved_bytes", "gauge", "Bytes of them that the next checkpoint writes."),
    ("checkpoint_count", "metis_checkpoints_total", "counter", "Checkpoints of the state."),
    ("checkpoint_failed_count", "metis_checkpoints_failed_total", "counter", "Checkpoints that came to nothing."),
    ("checkpoint_number", "metis_checkpoint_number", "gauge", "Block of the last checkpoint."),
    ("checkpoint_bytes", "metis_checkpoint_bytes_total", "counter", "Bytes that checkpoints wrote."),
)

_DURATIONS = (
    ("checkpoint_duration_ns", "metis_checkpoint_seconds_total", "counter", "Time that checkpoints took."),
    ("checkpoint_hold_ns_max", "metis_checkpoint_hold_seconds_max", "gauge", "Longest wait of a block for one."),
)


def metrics_text(node: Node, rpc: RpcCounters, heads: Heads, stages: StageTimes, started_s: float) -> str:
    """Write all metrics. ``started_s``: when the node started, in seconds since the epoch."""
    return "".join(_lines(node, rpc, heads, stages, started_s))


def metrics_page(node: Node, rpc: RpcCounters, heads: Heads, stages: StageTimes, started_s: float) -> PageContent:
    """Answer GET /metrics."""
    return PageContent(CONTENT_TYPE, metrics_text(node, rpc, heads, stages, started_s).encode())


def _lines(node: Node, rpc: RpcCounters, heads: Heads, stages: StageTimes, started_s: float) -> Iterator[str]:
    yield from _metric("metis_head_number", "gauge", "Height of the newest block.", node.head_number)
    counters = node.counters()
    for name, metric, kind, text in _COUNTERS:
        yield from _metric(metric, kind, text, counters[name])
    for name, metric, kind, text in _DURATIONS:
        yield from _metric(metric, kind, text, f"{counters[name] / 1e9:.9f}")
    yield from _metric("metis_blocks_added_total", "counter", "Blocks that joined the chain.", heads.added_count)
    yield from _metric("metis_blocks_removed_total", "counter", "Blocks that left the chain.", heads.removed_count)
    yield from _head("metis_stage_busy_seconds_total", "counter", "Time that making blocks took, by stage.")
    for stage, busy_s in stages.busy_s.items():
        yield f'metis_stage_busy_seconds_total{{stage="{stage}"}} {busy_s:.6f}\n'
    yield from _metric("process_start_time_seconds", "gauge", "When the node started.", f"{started_s:.3f}")
    yield from _metric("metis_uptime_seconds", "gauge", "How long it runs.", f"{time.time() - started_s:.3f}")
    yield from _metric("process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes())
    yield from _metric("metis_rpc_connections_open", "gauge", "Open connections.", rpc.connections_open)
    yield from _metric("metis_rpc_subscriptions_open", "gauge", "Open subscriptions.", rpc.subscriptions_open)
    yield from _metric("metis_rpc_notifications_total", "counter", "Notifications sent.", rpc.notification_count)
    yield from _metric("metis_rpc_timeouts_total", "counter", "Requests that ran out of time.", rpc.timeout_count)
    yield from _metric("metis_rpc_received_bytes_total", "counter", "Request bytes.", rpc.bytes_received)
    yield from _metric("metis_rpc_sent_bytes_total", "counter", "Answer bytes.", rpc.bytes_sent)
    yield from _methods(rpc)


def _methods(rpc: RpcCounters) -> Iterator[str]:
    methods = sorted(rpc.methods.items())
    yield from _head("metis_rpc_errors_total", "counter", "Calls answered with an error, by method.")
    for name, counts in methods:
        yield f'metis_rpc_errors_total{{method="{name}"}} {counts.error_count}\n'
    yield from _head("metis_rpc_duration_seconds", "histogram", "Time in calls, by method.")
    for name, counts in methods:
        seen = 0
        for bound_us, count in zip(LATENCY_BOUNDS_US, counts.latency_counts, strict=False):
            seen += count
            yield f'metis_rpc_duration_seconds_bucket{{method="{name}",le="{bound_us / 1e6:g}"}} {seen}\n'
        yield f'metis_rpc_duration_seconds_bucket{{method="{name}",le="+Inf"}} {counts.request_count}\n'
        yield f'metis_rpc_duration_seconds_sum{{method="{name}"}} {counts.time_ns / 1e9:.9f}\n'
        yield f'metis_rpc_duration_seconds_count{{method="{name}"}} {counts.request_count}\n'


def _metric(name: str, kind: str, text: str, value: object) -> Iterator[str]:
    yield from _head(name, kind, text)
    yield f"{name} {value}\n"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def resident_bytes() -> int:
    """Resident memory of this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        # Not Linux: the most it ever was, in kilobytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
