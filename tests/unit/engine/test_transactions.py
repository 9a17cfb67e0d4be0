"""Transaction handles: what the examples of properties do not show."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from eth_account import Account as Signer

from metis import engine
from metis.types import AccessListEntry, Authorization, DecodeError, Gas, Hash32, UnsignedTransaction, Wei
from tests.unit.engine.small_world import ALICE, BOB

FULL: dict[str, Any] = {
    "sender": ALICE,
    "nonce": 5,
    "gas_limit": Gas(50_000),
    "gas_price_wei": Wei(10),
    "to": BOB,
    "value_wei": Wei(2**255),
    "data": b"\x01\x02",
    "chain_id": 7,
}
LATER: dict[str, Any] = {
    "max_priority_fee_per_gas_wei": Wei(3),
    "access_list": (AccessListEntry(BOB, (0, 2**256 - 1)),),
}

UNSIGNED = [
    UnsignedTransaction(**FULL),
    UnsignedTransaction(**{**FULL, "to": None, "chain_id": None}),
    UnsignedTransaction(**FULL, type=1, access_list=LATER["access_list"]),
    UnsignedTransaction(**FULL, **LATER, type=2),
    UnsignedTransaction(
        **FULL, **LATER, type=3, max_fee_per_blob_gas_wei=Wei(9), blob_versioned_hashes=(Hash32(b"\x01" * 32),)
    ),
    UnsignedTransaction(
        **FULL, **LATER, type=4, authorization_list=(Authorization(7, BOB, 1, y_parity=1, r=2, s=2**255),)
    ),
]


@pytest.mark.parametrize("unsigned", UNSIGNED, ids=lambda unsigned: f"type-{unsigned.type}")
def test_unsigned_transaction__of_every_type__is_described_as_it_was_given(unsigned: UnsignedTransaction) -> None:
    described = engine.describe_transaction(engine.unsigned_transaction(unsigned))

    for field in fields(UnsignedTransaction):
        assert getattr(described, field.name) == getattr(unsigned, field.name), field.name


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sender": b"\x01"}, "sender"),
        ({"to": b"\x01" * 21}, "to"),
        ({"nonce": -1}, "nonce"),
        ({"nonce": 2**64}, "nonce"),
        ({"gas_limit": 2**64}, "gas_limit"),
        ({"gas_price_wei": 2**128}, "gas_price_wei"),
        ({"value_wei": 2**256}, "value_wei"),
        ({"value_wei": -1}, "value_wei"),
        ({"value_wei": "1"}, "value_wei"),
        ({"data": "0x"}, "data"),
        ({"type": 5}, "type"),
        ({"type": 2, "chain_id": None}, "chain_id"),
        ({"type": 3, "to": None}, "to"),
        ({"type": 4, "to": None}, "to"),
    ],
)
def test_unsigned_transaction__a_field_out_of_range__is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(DecodeError) as caught:
        engine.unsigned_transaction(UnsignedTransaction(**{**FULL, **change}))

    assert (caught.value.subject, caught.value.field) == ("transaction", field)


def test_unsigned_transactions__that_differ_only_by_sender__have_different_hashes() -> None:
    first, second = (
        engine.unsigned_transaction(UnsignedTransaction(**{**FULL, "sender": who})) for who in (ALICE, BOB)
    )

    assert first.hash != second.hash


def test_decode__signed_by_eth_account__recovers_the_signer() -> None:
    signer = Signer.create()
    signed = signer.sign_transaction(
        {"to": BOB, "value": 1, "gas": 21_000, "gasPrice": 10**9, "nonce": 0, "chainId": 7}
    )

    handle = engine.decode_transaction(bytes(signed.raw_transaction))

    assert handle.sender == bytes.fromhex(signer.address[2:])
    assert handle.hash == bytes(signed.hash)


def test_decode__no_bytes__names_the_payload() -> None:
    with pytest.raises(DecodeError) as caught:
        engine.decode_transaction(b"")

    assert (caught.value.subject, caught.value.field) == ("transaction", "payload")


@pytest.mark.parametrize("kind", [0, 5, 0x7F])
def test_decode__an_unknown_type__names_the_type(kind: int) -> None:
    with pytest.raises(DecodeError) as caught:
        engine.decode_transaction(bytes([kind]) + b"\xc0")

    assert caught.value.field == "type"


def test_decode_transactions__an_empty_batch__is_an_empty_list() -> None:
    assert engine.decode_transactions([]) == []


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_decode_transactions__any_number_of_threads__keeps_the_order(threads: int) -> None:
    signer = Signer.create()
    raw = [
        bytes(
            signer.sign_transaction(
                {"to": BOB, "value": 0, "gas": 21_000, "gasPrice": 1, "nonce": nonce, "chainId": 7}
            ).raw_transaction
        )
        for nonce in range(20)
    ]

    handles = engine.decode_transactions(raw, threads=threads)

    assert [handle.raw for handle in handles] == raw
    assert [engine.describe_transaction(handle).nonce for handle in handles] == list(range(20))
