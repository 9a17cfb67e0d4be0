"""What docs/operate.md promises of copies."""

from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path

import pytest

from tests.rpc.running_node import HASHES_ONLY, RunningNode, running_node


def _mine(node: RunningNode, mined: list[int], enough: threading.Event) -> None:
    with contextlib.closing(node.client()) as client:
        while not enough.is_set():
            client.ask("evm_mine")
            mined.append(int(client.ask("eth_blockNumber"), 16))


@pytest.mark.parametrize("copies", [3])
def test_copy__of_the_folder_of_a_running_node__goes_on_from_a_whole_block(tmp_path: Path, copies: int) -> None:
    folder = tmp_path / "chain"
    least: list[int] = []
    with running_node("--data-dir", str(folder)) as node:
        mined, enough = [0], threading.Event()
        thread = threading.Thread(target=_mine, args=(node, mined, enough))
        thread.start()
        try:
            for number in range(copies):
                while mined[-1] < 20 * (number + 1):
                    assert thread.is_alive()
                    enough.wait(0.01)
                least.append(mined[-1])
                shutil.copytree(folder, tmp_path / f"copy{number}", ignore=shutil.ignore_patterns("compiled"))
        finally:
            enough.set()
            thread.join()
        with contextlib.closing(node.client()) as client:
            hashes = [
                client.ask("eth_getBlockByNumber", hex(height), HASHES_ONLY)["hash"] for height in range(mined[-1] + 1)
            ]
    for number in range(copies):
        options = ("--data-dir", str(tmp_path / f"copy{number}"))
        with running_node(*options) as copy, contextlib.closing(copy.client()) as client:
            head = client.ask("eth_getBlockByNumber", "latest", HASHES_ONLY)
            height = int(head["number"], 16)
            # Durability is by groups: what was reported a moment before the copy may be written after it.
            assert height >= least[number] - 10
            assert head["hash"] == hashes[height]
            client.ask("evm_mine")
