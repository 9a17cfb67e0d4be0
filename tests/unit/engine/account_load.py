"""
Accounts that come to a node through its blocks, and what memory that takes.

``python -m tests.unit.engine.account_load FOLDER 10000000`` prints one JSON object; docs/metisdb.md has what it found.
Balances come as withdrawals (EIP-4895), which need no keys and no gas.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from hashlib import blake2b
from pathlib import Path

from metis import engine
from metis.types import Address, BlockAttributes, Gas, TimestampS, Withdrawal
from tests.genesis_documents import genesis_json

__all__ = ["address", "load", "resident_bytes"]

KEPT_BLOCK_COUNT = 8
CHECKPOINT_BLOCK_COUNT = 50


def resident_bytes(field: str) -> int:
    """Bytes of this process by a name of Linux' /proc/PID/status: VmHWM, RssAnon, RssFile."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def address(number: int) -> Address:
    """Return the address of an account: anywhere, as if it were a hash."""
    return Address(blake2b(number.to_bytes(8, "big"), digest_size=20).digest())


def load(folder: Path, account_count: int, per_block: int) -> dict[str, float]:
    """
    Let accounts come to a new node, ``per_block`` in each block, with checkpoints beside.

    Returns
    -------
    dict : bytes of memory beyond what an empty node has (``peak``: resident at most; ``private``: not backed by a file,
        at the end and at most; ``mapped``: pages of files, which the system may take back), of the state, of the
        folder; checkpoints with the longest time for which one kept a block waiting; seconds for loading and for
        opening again.
    """
    node = engine.Node.open(genesis_json("Shanghai", 79), {}, folder, "none", KEPT_BLOCK_COUNT)
    before = {field: resident_bytes(field) for field in ("VmHWM", "RssAnon", "RssFile")}
    begun_s = time.monotonic()
    private = 0
    saving: threading.Thread | None = None
    for first in range(0, account_count, per_block):
        last = min(first + per_block, account_count)
        withdrawals = tuple(Withdrawal(0, 0, address(number), 5) for number in range(first, last))
        timestamp_s = TimestampS(1 + first)
        node.build(BlockAttributes(timestamp_s=timestamp_s, gas_limit=Gas(30_000_000), withdrawals=withdrawals))
        if saving is None or not saving.is_alive():
            saving = threading.Thread(target=node.checkpoint_if_due, args=(CHECKPOINT_BLOCK_COUNT,))
            saving.start()
        private = max(private, resident_bytes("RssAnon"))
    if saving is not None:
        saving.join()
    load_s = time.monotonic() - begun_s
    counters = node.counters()
    told = {
        "accounts": account_count,
        "last_balance": node.balance(address(account_count - 1), node.head_number),
        "peak": resident_bytes("VmHWM") - before["VmHWM"],
        "private_peak": private - before["RssAnon"],
        "private": resident_bytes("RssAnon") - before["RssAnon"],
        "mapped": resident_bytes("RssFile") - before["RssFile"],
        "state": counters["state_bytes"],
        "checkpoints": counters["checkpoint_count"],
        "checkpoint_hold_ms_max": counters["checkpoint_hold_ns_max"] / 1e6,
        "load_s": load_s,
    }
    node.close()
    del node
    told["folder"] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    begun_s = time.monotonic()
    engine.Node.open(genesis_json("Shanghai", 79), {}, folder, "none", KEPT_BLOCK_COUNT).close()
    told["open_s"] = time.monotonic() - begun_s
    return told


if __name__ == "__main__":
    print(json.dumps(load(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 20_000)))
