"""
Gas a second of blocks that another node made: decoded, recovered, executed, checked and kept in a folder.

Each round begins with a new folder. In a run the stages of neighbouring blocks overlap (docs/mpef.md); one by one they
do not. The clock stops when all blocks are durable.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from metis.cli.bench.asking import BenchFailure
from metis.cli.bench.report import Row, alternate, progress
from metis.cli.bench.signed import (
    BLOCK_GAS_LIMIT,
    CHAIN_ID,
    senders,
    signed_transfers,
    token_of,
    token_setup,
    token_transfers,
)
from metis.cli.dev_chain import DevelopmentChain, open_chain
from metis.engine import Node, decode_block
from metis.node.config import MiningConfig, NodeConfig
from metis.types import BlockAttributes, Gas, TimestampS

__all__ = ["import_rows"]

BLOCK_COUNT: Final = 20
BLOCK_TRANSACTION_COUNT: Final = 1_000


def import_rows(rounds: int) -> list[Row]:
    """Measure chains of transfers and of ERC-20 transfers, in a run and one by one."""
    token, count = token_of(senders()[0]), BLOCK_COUNT * BLOCK_TRANSACTION_COUNT
    chain = open_chain(NodeConfig(chain_id=CHAIN_ID, mining=MiningConfig(gas_limit=BLOCK_GAS_LIMIT)))
    kinds = {
        "transfers": ([], signed_transfers(count)),
        "ERC-20 transfers": (token_setup(token), token_transfers(token, count)),
    }
    rows = []
    for kind, (setup, signed) in kinds.items():
        name = f"import, blocks of {BLOCK_TRANSACTION_COUNT:,} {kind}"
        progress(f"{name} …")
        first, blocks, gas = _made(chain, setup, signed)
        ways = {"in a run": _in_a_run, "one by one": _one_by_one}
        found = alternate({way: _runner(chain, first, blocks, gas, take) for way, take in ways.items()}, rounds)
        rows += [Row(f"{name}, {way}", "Mgas/s", {"metis": tuple(values)}) for way, values in found.items()]
    return rows


def _made(chain: DevelopmentChain, setup: list[bytes], signed: list[bytes]) -> tuple[list[bytes], list[bytes], int]:
    """Build a chain: its first blocks, those that are measured, and the gas of the latter."""
    node = _open(chain, None)
    blocks, gas = [], 0
    contents = [[one] for one in setup]
    contents += [signed[at : at + BLOCK_TRANSACTION_COUNT] for at in range(0, len(signed), BLOCK_TRANSACTION_COUNT)]
    for number, content in enumerate(contents, 1):
        node.submit_many(content)
        attributes = BlockAttributes(
            timestamp_s=TimestampS(chain.constants.genesis_timestamp_s + number),
            beneficiary=senders()[0],
            gas_limit=Gas(BLOCK_GAS_LIMIT),
        )
        block = node.build(attributes)["block"]
        blocks.append(block.rlp)
        gas += block.header_fields()["gas_used"] if number > len(setup) else 0
    return blocks[: len(setup)], blocks[len(setup) :], gas


def _open(chain: DevelopmentChain, folder: str | None) -> Node:
    durability, kept_block_count = "group", 128
    genesis = json.dumps(chain.genesis).encode()
    return Node.open(genesis, chain.accounts, folder, durability, kept_block_count, state_store="metisdb")


def _runner(
    chain: DevelopmentChain,
    first: list[bytes],
    blocks: list[bytes],
    gas: int,
    take: Callable[[Node, list[bytes]], None],
) -> Callable[[], float]:
    def run() -> float:
        with tempfile.TemporaryDirectory(prefix="metis-bench-") as folder:
            node = _open(chain, str(Path(folder) / "chain"))
            node.import_blocks(first)
            started_s = time.perf_counter()
            take(node, blocks)
            node.sync()
            elapsed_s = time.perf_counter() - started_s
            if node.head_number != len(first) + len(blocks):
                raise BenchFailure(f"only {node.head_number} blocks were imported")
            node.close()
        return gas / elapsed_s / 1e6

    return run


def _in_a_run(node: Node, blocks: list[bytes]) -> None:
    node.import_blocks(blocks)


def _one_by_one(node: Node, blocks: list[bytes]) -> None:
    for rlp in blocks:
        node.import_block(decode_block(rlp))
