"""``metis dev`` as users see it: its start, its pages, its log, its end, and what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rpc.running_node import Client, RunningNode, running_node

NEVER_IMPORTED = ("web3", "eth_account", "numpy", "llvmlite", "rich", "hypothesis", "httpx", "metis.node.fork")
NOT_BEFORE_THE_FIRST_ANSWER = (
    "importlib.metadata",
    "tempfile",
    "metis.types.transaction",
    "metis.types.block",
    "metis.rpc.namespaces.eth_calls",
    "metis.rpc.namespaces.trace",
    "metis.rpc.namespaces.engine_api",
    "metis.vm.compiler",
)
"""Each costs milliseconds that no first answer needs."""


def test_dev__at_its_start__names_accounts_endpoints_and_preset(node: RunningNode, client: Client) -> None:
    started = node.started
    assert started["preset"] == "hyperion"
    assert started["accounts"][0] == {
        "address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "private_key": "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    }
    assert len(started["accounts"]) == 10
    assert client.ask("eth_chainId") == hex(started["chain_id"])
    assert client.ask("eth_accounts") == [entry["address"].lower() for entry in started["accounts"]]
    assert int(client.ask("eth_getBalance", started["accounts"][9]["address"]), 16) == 10_000 * 10**18


def test_dev__its_pages__are_metrics_and_health(client: Client) -> None:
    status, text = client.get("/metrics")
    assert status == 200
    assert "\nmetis_head_number " in text
    client.ask("eth_chainId")
    assert 'metis_rpc_duration_seconds_count{method="eth_chainId"}' in client.get("/metrics")[1]
    status, text = client.get("/health")
    assert (status, json.loads(text)["status"]) == (200, "ok")


def test_dev__with_options__is_another_chain(tmp_path: Path) -> None:
    words = "legal winner thank year wave sausage worth useful legal winner thank yellow"
    options = ("--preset", "ethereum", "--chain-id", "4242", "--accounts", "2", "--balance", "7", "--mnemonic", words)
    with running_node(*options, "--ipc", str(tmp_path / "metis.ipc")) as node:
        client = node.client()
        assert (node.chain_id, client.ask("net_version")) == (4242, "4242")
        assert len(node.addresses) == 2
        assert node.started["accounts"][0]["address"] != "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        assert int(client.ask("eth_getBalance", node.started["accounts"][1]["address"]), 16) == 7 * 10**18
        assert (tmp_path / "metis.ipc").is_socket()
        client.close()
    assert not (tmp_path / "metis.ipc").exists()


def test_dev__its_log_in_json__has_blocks_with_fields(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running_node(log=log) as node:
        client = node.client()
        client.send(node.transfer(0, 0))
        client.close()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["message"] for line in lines] == ["node started", "block", "node stopped"]
    assert (lines[1]["number"], lines[1]["transactions"]) == (1, 1)


def test_dev__with_a_taken_port__says_so(node: RunningNode) -> None:
    port = node.http.rpartition(":")[2]
    command = [sys.executable, "-m", "metis.cli", "dev", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "cannot listen on" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--preset", "nowhere"), "there is no such preset"),
        (("--mnemonic", "not a mnemonic"), "mnemonic"),
        (("--block-time", "0"), "mining.block_time_s"),
        (("--config", "missing.toml"), "missing.toml"),
    ],
)
def test_dev__with_options_that_cannot_be__says_why(options: tuple[str, ...], words: str) -> None:
    command = [sys.executable, "-m", "metis.cli", "dev", "--port", "0", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_dev__its_imports__are_within_the_budget() -> None:
    program = (
        "import sys, metis.cli.dev, metis.cli.dev_chain, metis.cli.dev_report, metis.node.running, metis.node.logs; "
        f"print([name for name in {NEVER_IMPORTED + NOT_BEFORE_THE_FIRST_ANSWER!r} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"
