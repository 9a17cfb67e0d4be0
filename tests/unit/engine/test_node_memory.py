"""How much memory a node needs for accounts that come through its blocks: what the state takes, and no more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ACCOUNT_COUNT = 400_000
# Index and tries take some 700 bytes of an account at random places. What a checkpoint writes is not copied whole.
ACCOUNT_BYTES_MAX = 1_300


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory of the process from Linux' /proc")
def test_node__that_many_accounts_come_to__takes_memory_for_the_state_and_little_more(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.unit.engine.account_load", str(tmp_path), str(ACCOUNT_COUNT), "5000"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert told["last_balance"] == 5 * 10**9
    assert told["checkpoints"] > 0
    assert told["peak"] < ACCOUNT_COUNT * ACCOUNT_BYTES_MAX
