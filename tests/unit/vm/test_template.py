"""Transactions made of a test's fields: type, lists, sender."""

from __future__ import annotations

from typing import Any

import pytest

from metis.types import UnsignedTransaction
from metis.vm.fields import MalformedField
from metis.vm.template import template_sender, unsigned_transaction
from tests.unit.vm.small_tests import RECEIVER, SECRET_KEY, SENDER, only_test, transfer_test


def _transaction(**fields: Any) -> UnsignedTransaction:
    test = only_test({"transfer": transfer_test(**fields)})
    return unsigned_transaction(test, test.cases[0])


def test_template__legacy_fields__no_chain_id() -> None:
    transaction = _transaction()
    assert (transaction.type, transaction.chain_id, transaction.gas_price_wei) == (0, None, 10)
    assert transaction.sender == bytes.fromhex(SENDER[2:])
    assert transaction.to == bytes.fromhex(RECEIVER[2:])
    assert transaction.max_priority_fee_per_gas_wei is None


def test_template__access_list__type_1() -> None:
    entry = {"address": RECEIVER, "storageKeys": ["0x01", "0x" + "ff" * 32]}
    transaction = _transaction(accessLists=[[entry]])
    assert (transaction.type, transaction.chain_id) == (1, 1)
    assert transaction.access_list[0].slots == (1, 2**256 - 1)


def test_template__empty_and_absent_access_list__differ() -> None:
    assert _transaction(accessLists=[[]]).type == 1
    assert _transaction(accessLists=[None]).type == 0


def test_template__fee_caps__type_2() -> None:
    transaction = _transaction(maxFeePerGas="0x64", maxPriorityFeePerGas="0x01", accessLists=[[]])
    assert (transaction.type, transaction.gas_price_wei, transaction.max_priority_fee_per_gas_wei) == (2, 100, 1)


def test_template__blobs__type_3() -> None:
    blobs = {"blobVersionedHashes": ["0x01" + "00" * 31], "maxFeePerBlobGas": "0x07"}
    transaction = _transaction(maxFeePerGas="0x64", maxPriorityFeePerGas="0x01", **blobs)
    assert (transaction.type, transaction.max_fee_per_blob_gas_wei) == (3, 7)
    assert transaction.blob_versioned_hashes == (bytes([1]) + bytes(31),)


def test_template__authorizations__type_4() -> None:
    entry = {
        "chainId": "0x00",
        "address": RECEIVER,
        "nonce": "0x01",
        "v": "0x01",
        "r": "0x02",
        "s": "0x03",
        "signer": SENDER,
    }
    transaction = _transaction(maxFeePerGas="0x64", maxPriorityFeePerGas="0x01", authorizationList=[entry])
    (authorization,) = transaction.authorization_list
    assert transaction.type == 4
    assert (authorization.y_parity, authorization.r, authorization.s) == (1, 2, 3)
    assert authorization.authority == bytes.fromhex(SENDER[2:])


@pytest.mark.parametrize("to", ["", "0x", None])
def test_template__no_receiver__creation(to: str | None) -> None:
    assert _transaction(to=to).to is None


def test_template__secret_key_alone__sender_is_its_address() -> None:
    assert template_sender({"secretKey": SECRET_KEY}) == bytes.fromhex(SENDER[2:])
    assert template_sender({}) is None


@pytest.mark.parametrize("key", ["0x00", "0x" + "00" * 32, "0x" + "ff" * 32, "0x" + "11" * 33])
def test_template__secret_key_out_of_range__refused(key: str) -> None:
    with pytest.raises(MalformedField, match="not a secp256k1 key"):
        template_sender({"secretKey": key})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"sender": None, "secretKey": None}, "transaction.sender"),
        ({"gasPrice": None}, "transaction.gasPrice"),
        ({"nonce": "0x010000000000000000"}, "transaction.nonce"),
        ({"to": "0x12"}, "transaction.to"),
        ({"accessLists": "0x"}, "transaction.accessLists"),
        ({"accessLists": [[1]]}, "transaction.accessLists"),
        ({"maxFeePerGas": "0x01", "authorizationList": [1], "maxPriorityFeePerGas": "0x"}, "authorizationList"),
    ],
)
def test_template__broken_field__named(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(MalformedField, match=problem):
        _transaction(**fields)
