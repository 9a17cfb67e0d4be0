"""Genesis documents of small chains, for tests that open one."""

from __future__ import annotations

import json
from typing import Any

from metis.vm.beginning import BlobSchedule
from metis.vm.forks import chain_config

__all__ = ["CANCUN_BLOBS", "genesis_document", "genesis_json"]

CANCUN_BLOBS = BlobSchedule(target_count=3, max_count=6, base_fee_update_fraction=3_338_477)
"""What EIP-4844 began with."""


def genesis_document(
    fork: str, chain_id: int, *, gas_limit: int = 30_000_000, blobs: BlobSchedule | None = None
) -> dict[str, Any]:
    """Write a genesis document without accounts, with the rules of a fork from block 0 on."""
    return {
        "config": chain_config(fork, chain_id, blobs),
        "nonce": "0x0",
        "timestamp": "0x0",
        "extraData": "0x",
        "gasLimit": hex(gas_limit),
        "difficulty": "0x0",
        "mixHash": "0x" + "00" * 32,
        "coinbase": "0x" + "00" * 20,
        "alloc": {},
    }


def genesis_json(fork: str, chain_id: int, *, gas_limit: int = 30_000_000, blobs: BlobSchedule | None = None) -> bytes:
    """Write the same as the engine takes it."""
    return json.dumps(genesis_document(fork, chain_id, gas_limit=gas_limit, blobs=blobs)).encode()
