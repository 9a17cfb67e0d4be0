"""How much memory a node needs for accounts that come through its blocks: what the state takes, and no more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ACCOUNT_COUNT = 400_000
# Index and tries take some 700 bytes of an account at random places; a checkpoint copies half of them at most.
ACCOUNT_BYTES_MAX = 2_000

LOAD = """
import json, sys
from hashlib import blake2b
from pathlib import Path
from metis import engine
from metis.types import Address, BlockAttributes, Gas, TimestampS, Withdrawal
from tests.genesis_documents import genesis_json

def resident(field):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024

def address(number):
    return Address(blake2b(number.to_bytes(8, "big"), digest_size=20).digest())

count, per_block = int(sys.argv[2]), 5_000
node = engine.Node.open(genesis_json("Shanghai", 79), {}, sys.argv[1], "none", 8)
before = resident("VmRSS")
for first in range(0, count, per_block):
    withdrawals = tuple(Withdrawal(0, 0, address(number), 5) for number in range(first, first + per_block))
    node.build(BlockAttributes(timestamp_s=TimestampS(1 + first), gas_limit=Gas(30_000_000), withdrawals=withdrawals))
    node.checkpoint_if_due(20)
print(json.dumps({"peak": resident("VmHWM") - before, "balance": node.balance(address(count - 1), node.head_number)}))
node.close()
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory of the process from Linux' /proc")
def test_node__that_many_accounts_come_to__takes_memory_for_the_state_and_little_more(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOAD, str(tmp_path), str(ACCOUNT_COUNT)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert told["balance"] == 5 * 10**9
    assert told["peak"] < ACCOUNT_COUNT * ACCOUNT_BYTES_MAX
