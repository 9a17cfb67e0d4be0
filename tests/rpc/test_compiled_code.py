"""A node that compiles what it runs: the answers stay the same, and nothing of it is left when it stops."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from metis.node import NodeConfig, NodeService
from metis.node.accounts import DevelopmentSigner, derive_accounts
from metis.node.config import TEST_MNEMONIC, RpcSection, StorageConfig, VmConfig
from metis.sdk import Network
from metis.sdk.genesis import genesis_accounts
from tests.rpc.running_node import Client

CONTRACT = "0x" + "c0" * 20
CODE = "0x5f355f5b8115601557906001900390600101600356" + "5b5f5260205ff3"
PATIENCE_S = 60


def service(mode: str, folder: Path) -> NodeService:
    config = NodeConfig(
        rpc=RpcSection(port=0), storage=StorageConfig(path=str(folder / mode)), vm=VmConfig(mode=mode, workers=1)
    )
    network = Network.from_preset("hyperion")
    signer = DevelopmentSigner(derive_accounts(TEST_MNEMONIC, 1))
    return NodeService(config, network.genesis(), genesis_accounts(network.chain), signer, "metis/0")


async def answers(mode: str, folder: Path) -> tuple[Any, Any, dict[str, int], list[int]]:
    """Two times the same call, with time to compile between them; counters and worker processes of the node."""
    running = service(mode, folder)
    await running.start()
    try:
        host, port = running.http_url.removeprefix("http://").rstrip("/").rsplit(":", 1)
        client = Client(host, int(port))
        call = {"to": CONTRACT, "data": f"0x{25:064x}"}
        await asyncio.to_thread(client.ask, "anvil_setCode", CONTRACT, CODE)
        first = await asyncio.to_thread(client.answer, "eth_call", call, "latest")
        if mode != "off":
            async with asyncio.timeout(PATIENCE_S):
                while not running.compiler.registry.counters()["compiled"]:
                    await asyncio.sleep(0.01)
        second = await asyncio.to_thread(client.answer, "eth_call", call, "latest")
        client.close()
        return first, second, running.compiler.registry.counters(), running.compiler.worker_pids
    finally:
        await running.stop()


def test_node__mode_eager__answers_as_with_the_compiler_off(tmp_path: Path) -> None:
    plain, _, _, no_workers = asyncio.run(answers("off", tmp_path))
    first, second, counters, workers = asyncio.run(answers("eager", tmp_path))
    assert no_workers == []
    assert counters["compiled"] >= 1
    assert [answer.get("result") for answer in (first, second)] == [plain.get("result")] * 2
    assert workers
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
