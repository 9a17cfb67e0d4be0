"""
A second node: every block again from its bytes, one transaction after the other, interpreted, in memory.

It shares nothing with the first but the genesis and the store of models: its state is kept, and hashed, by other code.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from metis import engine
from metis.ai import ModelStore
from metis.cli.demo.results import Parallel, Verdict
from metis.cli.dev_chain import open_chain
from metis.cli.node_client import NodeClient
from metis.node.config import NodeConfig
from metis.node.models import ModelService
from metis.rpc.namespaces.rlp import decoded
from metis.types import Hash32, MetisError, StorageError

__all__ = ["Verifier"]

_TAMPERED_BYTES: Final = 24


class Verifier:
    """
    A node that believes nothing.

    Parameters
    ----------
    settings : those of the first node, for the genesis and the stores of models.
    workers : threads for a block's transactions; 1 runs them one after the other, 0 is one for each core.
    state_store : "memory" (plain maps and another trie than the first node's) or "metisdb".
    """

    def __init__(self, settings: NodeConfig, workers: int = 1, state_store: str = "memory") -> None:
        chain = open_chain(settings)
        self._models = ModelService(settings.models, chain.genesis)
        genesis = json.dumps(chain.genesis).encode()
        self._node = engine.Node.open(
            genesis, chain.accounts, models=self._models.models, workers=workers, state_store=state_store
        )

    def verify(self, client: NodeClient, progress: Callable[[str], None]) -> Verdict:
        """Execute all blocks of a node's chain and compare everything; try forgeries of the last one before it."""
        head = int(client.ask("eth_blockNumber"), 16)
        genesis = client.ask("eth_getBlockByNumber", "0x0", False)
        mismatches = int(f"0x{self._node.genesis_hash.hex()}" != genesis["hash"])
        transactions, execute_s, refused = 0, 0.0, {}
        for number in range(1, head + 1):
            progress(f"block {number} of {head}")
            raw = bytes.fromhex(client.ask("debug_getRawBlock", hex(number))[2:])
            try:
                if number == head:
                    refused["block"] = self._refuses(raw)
                began_s = time.perf_counter()
                block_hash = self._import(raw)
            except MetisError:
                mismatches += 1
                break
            execute_s += time.perf_counter() - began_s
            # Of a block that nothing follows only the hash tells that it is another one.
            mismatches += client.ask("eth_getBlockByNumber", hex(number), False)["hash"] != f"0x{block_hash.hex()}"
            theirs = client.ask("debug_getRawReceipts", hex(number))
            ours = [f"0x{receipt.hex()}" for receipt in self._node.raw_receipts(number) or []]
            mismatches += ours != theirs
            transactions += len(theirs)
        return Verdict(head, transactions, mismatches, execute_s * 1e3, refused)

    def execute(self, raw: bytes) -> float:
        """Execute a block and keep it; how long that took, in milliseconds."""
        began_s = time.perf_counter()
        self._import(raw)
        return (time.perf_counter() - began_s) * 1e3

    def record(self, number: int) -> engine.BlockRecord:
        """What the transactions of a block did to each other, by running them once more."""
        found = self._models.ask(lambda: engine.block_record(self._node, number))
        if found is None:
            raise StorageError("corrupt", f"block {number}, which was just imported, is not there")
        return found

    def _import(self, raw: bytes) -> Hash32:
        block = engine.decode_block(raw)
        self._models.ask(lambda: self._node.import_block(block))
        return Hash32(block.hash)

    def _refuses(self, raw: bytes) -> str:
        """Change single bytes of a block; what is said of the first, or "" where one passes for the block."""
        block_hash = engine.decode_block(raw).hash
        chosen = random.Random(0)  # noqa: S311 - which bytes does not matter
        said = ""
        for _ in range(_TAMPERED_BYTES):
            changed = bytearray(raw)
            changed[chosen.randrange(len(raw))] ^= 1 << chosen.randrange(8)
            try:
                block = engine.decode_block(bytes(changed))
                if block.hash == block_hash:
                    self._models.ask(lambda block=block: self._node.import_block(block))  # type: ignore[misc]
                    return ""
                said = said or f"its hash is 0x{block.hash.hex()[:8]}…, not 0x{block_hash.hex()[:8]}…"
            except MetisError as error:
                said = said or str(error)
        return said


def executed_again(
    settings: NodeConfig, client: NodeClient, chosen: range, progress: Callable[[str], None]
) -> Parallel:
    """Execute blocks one transaction after the other and many at a time, on the states that they stand on."""
    sequential, parallel = (Verifier(settings, workers, "metisdb") for workers in (1, 0))
    times_ms = [0.0, 0.0]
    records: list[engine.BlockRecord] = []
    for number in range(1, chosen.stop):
        progress(f"block {number} of {chosen.stop - 1}")
        raw = bytes.fromhex(client.ask("debug_getRawBlock", hex(number))[2:])
        each_ms = [verifier.execute(raw) for verifier in (sequential, parallel)]
        if number in chosen:
            times_ms = [total + one for total, one in zip(times_ms, each_ms, strict=True)]
            records.append(parallel.record(number))
    accessed = [fields for record in records for fields in decoded(record.access_list)]
    return Parallel(
        blocks=len(records),
        transactions=sum(record.transaction_count for record in records),
        workers=os.cpu_count() or 1,
        sequential_ms=times_ms[0],
        parallel_ms=times_ms[1],
        dependent=sum(len({row.transaction for row in record.dependencies}) for record in records),
        reruns=sum(record.rerun_count for record in records),
        speedup_max=sum(record.gas_used for record in records) / max(1, sum(record.chain_gas for record in records)),
        accounts=len(accessed),
        slots_read=sum(len(slots_read) for _, _, slots_read, *_ in accessed),
        slots_written=sum(len(slots_written) for _, slots_written, *_ in accessed),
    )


def refuses_model(store: ModelStore, model_id: Hash32) -> str:
    """Change one byte of a model's weights in a copy of the store; what is said, or "" where it is accepted."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "store"
        shutil.copytree(store.url, copy)
        manifest: Mapping[str, Any] = json.loads((copy / "models" / f"{model_id.hex()}.json").read_bytes())
        leaf = str(manifest["leaves"][0]).removeprefix("0x")
        chunk = next(
            path for path in (copy / "objects").rglob("*") if path.is_file() and path.name.endswith(leaf[-40:])
        )
        changed = bytearray(chunk.read_bytes())
        changed[len(changed) // 2] ^= 1
        chunk.write_bytes(changed)
        try:
            ModelStore(copy).fetch(model_id, Path(folder) / "model")
        except MetisError as error:
            return str(error)
    return ""
