"""What a worker's operator decides."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from metis.ai.receipt import Domain
from metis.types import Wei

__all__ = ["WorkerSettings"]


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerSettings:
    """
    Settings of one worker; docs/worker.md.

    Attributes
    ----------
    domain : where its receipts count.
    data : folder of the ledger and the receipts.
    price_wei : of one unit.
    credit_wei : what a payer may owe at most, charged and authorised together; None for no limit.
    runners : tasks that run at a time. threads : of each run.
    queue_max : tasks that may wait; more are refused.
    body_bytes_max, runs_max : of one request.
    hold_s : how long a request waits for those with lower nonces that may still arrive.
    deadline_s_max : how far ahead a deadline may lie.
    batch_size : receipts after which a batch is closed. batch_interval_s : seconds after which it is, too.
    open_bodies : whether requests are taken whose body the payer has not signed.
    """

    domain: Domain
    data: Path
    price_wei: Wei
    credit_wei: int | None = None
    runners: int = 2
    threads: int = 1
    queue_max: int = 4096
    body_bytes_max: int = 1 << 20
    runs_max: int = 2048
    hold_s: float = 2.0
    deadline_s_max: int = 3600
    batch_size: int = 256
    batch_interval_s: float = 60.0
    open_bodies: bool = True
