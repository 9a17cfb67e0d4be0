"""Dumping and loading: what one node writes, another reads; anvil reads ours, and we read anvil's."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rpc.anvil import running_anvil
from tests.rpc.control_world import (
    COIN,
    FIRST,
    SECOND,
    STRANGER,
    balance,
    block,
    deploy,
    height,
    number,
    selector,
    send,
    timestamp,
    token_code,
    words,
)
from tests.rpc.running_node import Client, running_node


@pytest.fixture
def ours() -> Iterator[Client]:
    """A node of its own: what is loaded stays."""
    with running_node("--preset", "ethereum") as node:
        client = node.client()
        yield client
        client.close()


@pytest.fixture
def theirs() -> Iterator[Client]:
    with running_anvil() as client:
        yield client


def populate(client: Client) -> dict[str, Any]:
    """Make a chain with everything that a dump holds; returns what must be found again."""
    token = deploy(client, token_code() + words(1_000))
    send(client, to=SECOND, value=hex(COIN))
    client.ask("anvil_setBalance", STRANGER, hex(7 * COIN))
    client.ask("anvil_setNonce", STRANGER, "0x5")
    client.ask("anvil_setStorageAt", STRANGER, "0x3", "0x" + "00" * 31 + "09")
    client.ask("anvil_mine", 3)
    return observed(client, token)


def observed(client: Client, token: str) -> dict[str, Any]:
    held = {"to": token, "data": selector("balanceOf(address)") + words(FIRST)}
    return {
        "token": token,
        "height": height(client),
        "balances": [balance(client, account) for account in (FIRST, SECOND, STRANGER)],
        "nonces": [number(client, "eth_getTransactionCount", account, "latest") for account in (FIRST, STRANGER)],
        "slot": client.ask("eth_getStorageAt", STRANGER, "0x3", "latest"),
        "code": client.ask("eth_getCode", token, "latest"),
        "held": client.ask("eth_call", held, "latest"),
    }


def unpacked(dump: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(gzip.decompress(bytes.fromhex(dump[2:])))
    return document


def test_dump__of_anvil__is_loaded_here(ours: Client, theirs: Client) -> None:
    expected = populate(theirs)
    assert ours.ask("anvil_loadState", theirs.ask("anvil_dumpState")) is True
    assert observed(ours, expected["token"]) == expected
    assert timestamp(ours) >= timestamp(theirs) - 30
    assert send(ours)["status"] == "0x1"


def test_dump__of_anvil_with_history__is_loaded_here(ours: Client, theirs: Client) -> None:
    expected = populate(theirs)
    assert ours.ask("hardhat_loadState", theirs.ask("anvil_dumpState", *[True])) is True
    assert observed(ours, expected["token"]) == expected


def test_dump__of_ours__is_loaded_by_anvil_with_its_blocks(ours: Client, theirs: Client) -> None:
    expected = populate(ours)
    receipt = send(ours)
    expected = observed(ours, expected["token"])
    assert theirs.ask("anvil_loadState", ours.ask("anvil_dumpState")) is True
    assert observed(theirs, expected["token"]) == expected
    assert block(theirs)["hash"] == block(ours)["hash"]
    found = theirs.ask("eth_getTransactionReceipt", receipt["transactionHash"])
    assert (found["blockHash"], found["status"]) == (receipt["blockHash"], "0x1")


def test_dump__has_the_fields_of_anvils(ours: Client, theirs: Client) -> None:
    populate(ours)
    populate(theirs)
    mine, other = unpacked(ours.ask("anvil_dumpState")), unpacked(theirs.ask("anvil_dumpState"))
    assert set(mine) == set(other)
    assert set(mine["block"]) == set(other["block"])
    assert set(mine["blocks"][0]["header"]) == set(other["blocks"][0]["header"])
    assert set(mine["transactions"][0]["info"]) == set(other["transactions"][0]["info"])
    assert set(mine["transactions"][0]["receipt"]) == set(other["transactions"][0]["receipt"])
    assert mine["accounts"][FIRST].keys() == other["accounts"][FIRST].keys()


def test_dump__of_an_old_release__has_accounts_only(ours: Client) -> None:
    accounts = {STRANGER: {"nonce": 3, "balance": "0x64", "code": "0x6001", "storage": {"0x1": "0x2"}}}
    dump = gzip.compress(json.dumps({"accounts": accounts}).encode())
    before = balance(ours, FIRST)
    assert ours.ask("anvil_loadState", f"0x{dump.hex()}") is True
    assert (height(ours), balance(ours), balance(ours, FIRST)) == (0, 100, before)
    assert ours.ask("eth_getCode", STRANGER, "latest") == "0x6001"
    assert int(ours.ask("eth_getStorageAt", STRANGER, "0x1", "latest"), 16) == 2


@pytest.mark.parametrize(
    "content",
    [b"\x12", b"\x1f\x8b\x08broken", b"[]", b"{}", b'{"accounts": {"0x12": {}}}', b'{"accounts": {"0x12": 5}}'],
)
def test_load__of_what_is_no_dump__is_refused_and_changes_nothing(ours: Client, content: bytes) -> None:
    before = block(ours)
    assert "error" in ours.answer("anvil_loadState", f"0x{content.hex()}")
    assert block(ours) == before


def test_dump__loaded_into_another_node_of_ours__is_the_same_state(ours: Client) -> None:
    expected = populate(ours)
    dump = ours.ask("anvil_dumpState")
    with running_node("--preset", "ethereum") as node:
        other = node.client()
        assert other.ask("anvil_loadState", dump) is True
        assert observed(other, expected["token"]) == expected
        other.close()


def test_state_file__named_at_the_start__is_written_at_the_end_and_loaded_again(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    with running_node("--preset", "ethereum", "--state", str(file)) as node:
        client = node.client()
        expected = populate(client)
        client.close()
    assert json.loads(file.read_text())["best_block_number"] == expected["height"]
    with running_node("--preset", "ethereum", "--state", str(file)) as node:
        client = node.client()
        assert observed(client, expected["token"]) == expected
        client.close()
    with running_anvil("--load-state", str(file)) as client:
        assert observed(client, expected["token"])["balances"] == expected["balances"]


def test_accounts__below_another_path__are_others() -> None:
    with running_node("--derivation-path", "m/44'/60'/1'/0/") as node:
        assert f"0x{node.addresses[0].hex()}" != FIRST
        client = node.client()
        assert send(client, f"0x{node.addresses[0].hex()}")["status"] == "0x1"
        client.close()
