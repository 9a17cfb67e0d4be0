"""
Client libraries as their users use them, at pinned versions; and what MetaMask asks for.

``make test`` installs them; one that could not be installed is skipped (``make clients`` says why).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.rpc.client_programs import CLIENTS, require, run
from tests.rpc.running_node import Client, RunningNode

REVERTS = "0x62461bcd60e51b5f5260206004526002602452616e6f60f01b60445260645ffd"
"""Init code that reverts with Error("no")."""

LOGGER = "0x6013600c60003960136000f3600435805f55805f52600760205fa160205ff3"
"""Init code of a contract that stores, logs (topic 7) and returns the first word after the selector."""


def arguments(node: RunningNode, account: int) -> list[str]:
    """Every client has an account of its own."""
    return [node.http, node.websocket, f"0x{node.keys[account].hex()}"]


def test_web3py__as_a_user_uses_it__works(node: RunningNode, tmp_path: Path) -> None:
    web3 = require("web3")
    script = CLIENTS / "web3" / "web3_client.pyw"
    assert "ok" in run(web3, tmp_path, web3.python, script, *arguments(node, 0))


@pytest.mark.parametrize(("name", "account"), [("viem", 1), ("ethers", 2)])
def test_javascript__as_a_user_uses_it__works(node: RunningNode, tmp_path: Path, name: str, account: int) -> None:
    script = CLIENTS / "javascript" / f"{name}_client.mjs"
    assert "ok" in run(require("javascript"), tmp_path, "node", script, *arguments(node, account))


def cast(home: Path, node: RunningNode, command: str, *options: str) -> str:
    """Run a command of cast against the node."""
    environment = require("javascript")
    return run(environment, home, environment.program("cast"), command, "--rpc-url", node.http, *options)


def cast_send(home: Path, node: RunningNode, *options: str) -> dict[str, object]:
    """Send a transaction with cast; its receipt."""
    receipt = json.loads(cast(home, node, "send", "--private-key", f"0x{node.keys[3].hex()}", "--json", *options))
    assert isinstance(receipt, dict)
    assert receipt["status"] == "0x1"
    return receipt


def test_cast__transfer__arrives(node: RunningNode, tmp_path: Path) -> None:
    to = "0x" + "14" * 20
    cast_send(tmp_path, node, "--value", "5", to)
    assert cast(tmp_path, node, "balance", to).strip() == "5"
    assert cast(tmp_path, node, "chain-id").strip() == str(node.chain_id)
    assert "baseFeePerGas" in cast(tmp_path, node, "block")


def test_cast__contract__is_created_called_and_its_logs_found(node: RunningNode, tmp_path: Path) -> None:
    address = str(cast_send(tmp_path, node, "--create", LOGGER)["contractAddress"])
    assert cast(tmp_path, node, "call", address, "store(uint256)(uint256)", "9").strip() == "9"
    sent = cast_send(tmp_path, node, address, "store(uint256)", "9")
    assert int(cast(tmp_path, node, "storage", address, "0"), 16) == 9
    receipt = json.loads(cast(tmp_path, node, "receipt", "--json", str(sent["transactionHash"])))
    found = json.loads(cast(tmp_path, node, "logs", "--json", "--address", address, "--from-block", "earliest"))
    assert found == receipt["logs"] == sent["logs"]
    assert [int(log["data"], 16) for log in found] == [9]


def test_cast__run__executes_a_mined_transaction_again_with_the_same_gas(node: RunningNode, tmp_path: Path) -> None:
    address = str(cast_send(tmp_path, node, "--create", LOGGER)["contractAddress"])
    sent = cast_send(tmp_path, node, address, "store(uint256)", "9")
    shown = cast(tmp_path, node, "run", str(sent["transactionHash"]))
    assert "Transaction successfully executed." in shown
    assert f"Gas used: {int(str(sent['gasUsed']), 16)}" in shown


def test_cast__estimate_of_what_reverts__tells_the_reason(node: RunningNode, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="execution reverted: no"):
        cast(tmp_path, node, "estimate", "--create", REVERTS)


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
