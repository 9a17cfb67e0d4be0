"""What tests of the control methods share: accounts, a token, and short questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from metis.engine import keccak256
from tests.rpc.running_node import Client

FIRST = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
SECOND = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
STRANGER = "0x" + "14" * 20
COIN = 10**18
HASHES = False
ON, OFF = True, False

CONTRACTS = Path(__file__).resolve().parents[2] / "metis" / "cli" / "contracts"


def number(client: Client, method: str, *params: Any) -> int:
    """Ask for a quantity."""
    return int(client.ask(method, *params), 16)


def height(client: Client) -> int:
    return number(client, "eth_blockNumber")


def balance(client: Client, address: str = STRANGER, block: str = "latest") -> int:
    return number(client, "eth_getBalance", address, block)


def block(client: Client, which: str | int = "latest") -> dict[str, Any]:
    """A block with hashes of its transactions."""
    found: dict[str, Any] = client.ask("eth_getBlockByNumber", which if isinstance(which, str) else hex(which), HASHES)
    return found


def timestamp(client: Client, which: str | int = "latest") -> int:
    return int(block(client, which)["timestamp"], 16)


def send(client: Client, sender: str = FIRST, **fields: Any) -> dict[str, Any]:
    """Send in an account's name and wait for the receipt."""
    transaction = {"from": sender, "to": STRANGER, "value": "0x1", **fields}
    transaction = {name: value for name, value in transaction.items() if value is not None}
    receipt: dict[str, Any] = client.ask("eth_sendTransactionSync", transaction)
    return receipt


def queue(client: Client, sender: str = FIRST, **fields: Any) -> str:
    """Send in an account's name without waiting; returns the hash."""
    sent: str = client.ask("eth_sendTransaction", {"from": sender, "to": STRANGER, "value": "0x1", **fields})
    return sent


def selector(signature: str) -> str:
    return "0x" + keccak256(signature.encode())[:4].hex()


def words(*values: str | int) -> str:
    """ABI words of addresses and numbers."""
    return "".join(f"{value:064x}" if isinstance(value, int) else value[2:].rjust(64, "0") for value in values)


def deploy(client: Client, code: str) -> str:
    """Create a contract; returns its address."""
    receipt = send(client, to=None, value="0x0", data=code)
    assert receipt["status"] == "0x1"
    created: str = receipt["contractAddress"]
    return created


def token_code() -> str:
    """Creation code of the example token."""
    code: str = json.loads((CONTRACTS / "Token.json").read_text())["bytecode"]
    return code
