"""Typed data (EIP-712), signed by the node and recovered by eth-account."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from tests.rpc.control_world import FIRST, STRANGER
from tests.rpc.running_node import Client

MAIL: dict[str, Any] = {
    "types": {
        "EIP712Domain": [{"name": "name", "type": "string"}, {"name": "chainId", "type": "uint256"}],
        "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
        "Mail": [{"name": "to", "type": "Person[]"}, {"name": "contents", "type": "string"}],
    },
    "primaryType": "Mail",
    "domain": {"name": "Mail", "chainId": 1},
    "message": {"to": [{"name": "Bob", "wallet": STRANGER}], "contents": "Hello"},
}


@pytest.mark.parametrize("method", ["eth_signTypedData_v4", "eth_signTypedData_v3"])
@pytest.mark.parametrize("data", [MAIL, json.dumps(MAIL)], ids=["object", "text"])
def test_signature__of_typed_data__recovers_to_the_account(client: Client, method: str, data: Any) -> None:
    signature = client.ask(method, FIRST, data)
    assert Account.recover_message(encode_typed_data(full_message=MAIL), signature=signature).lower() == FIRST


@pytest.mark.parametrize("data", [{}, "not json", 5, {**MAIL, "primaryType": "Nothing"}])
def test_signature__of_what_is_no_typed_data__is_refused(client: Client, data: Any) -> None:
    assert client.answer("eth_signTypedData_v4", FIRST, data)["error"]["code"] == -32602


def test_signature__of_a_stranger__is_refused(client: Client) -> None:
    assert "unknown account" in client.answer("eth_signTypedData_v4", STRANGER, MAIL)["error"]["message"]


def test_blobs__that_are_not_here__are_null(client: Client) -> None:
    assert client.ask("anvil_getBlobByHash", "0x01" + "00" * 31) is None
    assert client.ask("anvil_getBlobsByTransactionHash", "0x" + "00" * 32) is None
