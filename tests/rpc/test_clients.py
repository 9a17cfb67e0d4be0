"""
Real clients, with pinned versions, in environments of their own.

``METIS_CLIENTS`` names the folder that holds them (default: ``~/.cache/metis-clients``); make it with

    python -m tests.rpc.clients.install

A client that is not there is skipped.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.rpc.running_node import Client, RunningNode

HERE = Path(__file__).parent / "clients"


@pytest.fixture(scope="module")
def environments() -> Path:
    return Path(os.environ.get("METIS_CLIENTS", Path.home() / ".cache" / "metis-clients")).resolve()


def require(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is not there: python -m tests.rpc.clients.install")
    return path


def run(command: list[str], environments: Path) -> str:
    environment = {**os.environ, "METIS_CLIENTS": str(environments)}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def arguments(node: RunningNode, account: int) -> list[str]:
    """Every client has an account of its own."""
    return [node.http, node.websocket, f"0x{node.keys[account].hex()}"]


def test_web3py__as_a_user_uses_it__works(node: RunningNode, environments: Path) -> None:
    python = require(environments / "web3" / "bin" / "python")
    assert "ok" in run([str(python), str(HERE / "web3_client.pyw"), *arguments(node, 0)], environments)


@pytest.mark.parametrize(("name", "account"), [("viem", 1), ("ethers", 2)])
def test_javascript__as_a_user_uses_it__works(node: RunningNode, environments: Path, name: str, account: int) -> None:
    require(environments / "node_modules" / name)
    command = ["node", str(HERE / f"{name}_client.mjs"), *arguments(node, account)]
    assert "ok" in run(command, environments)


def test_cast__as_a_user_uses_it__works(node: RunningNode, environments: Path) -> None:
    cast = str(require(environments / "node_modules" / ".bin" / "cast"))
    url = ["--rpc-url", node.http]
    key = f"0x{node.keys[3].hex()}"
    to = "0x" + "14" * 20
    sent = run([cast, "send", *url, "--private-key", key, "--value", "5", "--json", to], environments)
    assert '"status":"0x1"' in sent
    assert run([cast, "balance", *url, to], environments).strip() == "5"
    assert run([cast, "chain-id", *url], environments).strip() == str(node.chain_id)
    assert "baseFeePerGas" in run([cast, "block", *url], environments)
    created = run(
        [cast, "send", *url, "--private-key", key, "--json", "--create", "0x60016000526001601ff3"], environments
    )
    assert '"contractAddress":"0x' in created


def test_metamask__adding_the_network__gets_what_it_asks_for(node: RunningNode, client: Client) -> None:
    """What MetaMask was seen to ask for, in its order, with the preflight that a browser sends before."""
    import http.client

    host, _, port = node.http.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    origin = "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn"
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    connection.request("OPTIONS", "/", headers=asked)
    preflight = connection.getresponse()
    preflight.read()
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] in ("*", origin)
    assert "content-type" in preflight.headers["Access-Control-Allow-Headers"].lower()
    connection.close()
    assert client.ask("net_version") == str(node.chain_id)
    assert client.ask("eth_chainId") == hex(node.chain_id)
    me = f"0x{node.addresses[4].hex()}"
    client.ask("eth_blockNumber")
    client.ask("eth_getBalance", me, "latest")
    assert client.ask("eth_getCode", me, "latest") == "0x"
    client.ask("eth_gasPrice")
    client.ask("eth_feeHistory", "0x5", "latest", [10, 20, 30])
    assert client.ask("eth_estimateGas", {"from": me, "to": me, "value": "0x1"}) == "0x5208"
    nonce = int(client.ask("eth_getTransactionCount", me, "latest"), 16)
    assert client.ask("eth_getTransactionReceipt", client.send(node.transfer(4, nonce)))["status"] == "0x1"
