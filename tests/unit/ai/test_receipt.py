"""Receipts: one encoding, signatures that cover everything, and another implementation's digests."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from metis.ai.receipt import (
    RECEIPT_BYTES,
    Expected,
    check_receipt,
    decode_receipt,
    encode_receipt,
    receipt_digest,
    request_digest,
    sign_digest,
    signer_of,
)
from metis.ai.receipt.batch import Batch, batch_path, verify_in_batch
from metis.ai.receipt.encoding import LAYOUT
from metis.ai.receipt.fields import OPEN_BODY, Unproven
from metis.ai.receipt.signing import RECEIPT_TYPE, REQUEST_TYPE, access_digest
from metis.engine import address_of
from metis.types import Address, InvalidReceipt, Wei
from tests.unit.ai.receipt_samples import (
    DOMAIN,
    PAYER_KEY,
    STRANGER_KEY,
    WORKER_KEY,
    each_bit,
    receipt_file,
    signed_again,
)

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def members(type_text: str) -> tuple[str, list[dict[str, str]]]:
    name, _, inside = type_text.partition("(")
    pairs = [member.split(" ") for member in inside.rstrip(")").split(",")]
    return name, [{"type": kind, "name": field} for kind, field in pairs]


def digest_elsewhere(type_text: str, values: list[Any]) -> bytes:
    """The EIP-712 digest as eth-account computes it."""
    name, fields = members(type_text)
    domain = {
        "name": "Metis Inference",
        "version": "1",
        "chainId": DOMAIN.chain_id,
        "verifyingContract": "0x" + DOMAIN.contract.hex(),
    }
    shown = ["0x" + value.hex() if isinstance(value, bytes) else value for value in values]
    message = dict(zip([field["name"] for field in fields], shown, strict=True))
    signable = encode_typed_data(domain, {name: fields}, message)
    return bytes(Account.sign_message(signable, PAYER_KEY).message_hash)


def test_digests__of_request_and_receipt__are_those_of_eth_account() -> None:
    receipt = receipt_file().receipt
    asked = receipt.request
    task = request_digest(DOMAIN, asked)
    values = [asked.payer, asked.worker, asked.model, asked.body, asked.max_cost_wei, asked.nonce, asked.deadline_s]
    assert task == digest_elsewhere(REQUEST_TYPE, values)
    values = [task, asked.payer, asked.worker, asked.model, receipt.inputs, receipt.outputs, receipt.trace]
    values += [receipt.runs, receipt.units, receipt.price_wei, receipt.cost_wei, asked.max_cost_wei, asked.nonce]
    values += [receipt.issued_at_s, int(receipt.mode), int(receipt.unproven)]
    values += [receipt.graph_version, receipt.trace_version, receipt.meter_version]
    assert receipt_digest(receipt) == digest_elsewhere(RECEIPT_TYPE, values)
    access = "TaskAccess(bytes32 task,string action,uint64 deadlineS)"
    assert access_digest(DOMAIN, task, "cancel", 7) == digest_elsewhere(access, [task, "cancel", 7])


def test_receipt__encoded_and_decoded__is_the_same() -> None:
    receipt = receipt_file().receipt
    raw = encode_receipt(receipt)
    assert len(raw) == RECEIPT_BYTES
    assert decode_receipt(raw) == receipt
    check_receipt(receipt)


def test_receipt__any_bit_changed__is_rejected() -> None:
    """Every single bit of the encoding, whatever it is of."""
    expected = Expected(DOMAIN)
    for changed in each_bit(encode_receipt(receipt_file().receipt)):
        with pytest.raises(InvalidReceipt):
            check_receipt(decode_receipt(changed), expected)


REASON_OF_FIELD = {
    "magic": {"magic"},
    "version": {"version"},
    "chain_id": {"chain"},
    "contract": {"contract"},
    "payer": {"payer"},
    "worker": {"worker"},
    "model": {"model"},
    "nonce": {"nonce"},
    "body": {"payer-signature", "unproven"},
    "max_cost_wei": {"payer-signature", "max-cost"},
    "deadline_s": {"payer-signature"},
    "inputs": {"worker-signature"},
    "outputs": {"worker-signature"},
    "trace": {"worker-signature"},
    "runs": {"worker-signature", "runs"},
    "units": {"cost"},
    "price_wei": {"cost"},
    "cost_wei": {"cost"},
    "issued_at_s": {"worker-signature"},
    "mode": {"mode"},
    "unproven": {"unproven"},
    "graph_version": {"versions"},
    "trace_version": {"versions"},
    "meter_version": {"versions"},
    "payer_signature": {"payer-signature"},
    "worker_signature": {"worker-signature"},
}


@pytest.mark.parametrize("field", [name for name, _ in LAYOUT])
def test_receipt__a_bit_of_a_field_changed__is_rejected_with_its_reason(field: str) -> None:
    receipt = receipt_file().receipt
    asked = receipt.request
    expected = Expected(DOMAIN, asked.payer, asked.worker, asked.model, asked.nonce)
    raw = encode_receipt(receipt)
    begin = 0
    for name, length in LAYOUT:
        if name == field:
            break
        begin += length
    reasons = set()
    for changed in each_bit(raw[begin : begin + length]):
        with pytest.raises(InvalidReceipt) as raised:
            check_receipt(decode_receipt(raw[:begin] + changed + raw[begin + length :]), expected)
        reasons.add(raised.value.field)
    assert reasons <= REASON_OF_FIELD[field]


@pytest.mark.parametrize("length", [0, 1, RECEIPT_BYTES - 1, RECEIPT_BYTES + 1])
def test_decode_receipt__another_length__is_refused(length: int) -> None:
    with pytest.raises(InvalidReceipt, match="bytes instead of"):
        decode_receipt((encode_receipt(receipt_file().receipt) + b"\0")[:length])


def test_encode_receipt__a_number_without_place__is_refused() -> None:
    receipt = receipt_file().receipt
    for changes in ({"runs": 1 << 32}, {"units": -1}, {"worker_signature": b"\0" * 64}):
        with pytest.raises(InvalidReceipt):
            encode_receipt(dataclasses.replace(receipt, **changes))


def test_signature__in_any_other_encoding__is_refused() -> None:
    digest = bytes(range(32))
    signature = sign_digest(digest, PAYER_KEY)
    assert signer_of(digest, signature) == address_of(PAYER_KEY)
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    mirrored = r + (CURVE_ORDER - s).to_bytes(32, "big") + bytes([27 + 28 - v])
    compact = r + (s | (v - 27) << 255).to_bytes(32, "big")
    zero = bytes(64) + b"\x1b"
    for other in (mirrored, compact, signature[:64] + bytes([v - 27]), signature + b"\0", b"", zero):
        with pytest.raises(InvalidReceipt):
            signer_of(digest, other)


def test_receipt__with_an_open_body__says_that_it_proves_less() -> None:
    receipt = receipt_file(body=OPEN_BODY).receipt
    check_receipt(receipt)
    assert Unproven.BODY in receipt.unproven
    hidden = signed_again(receipt_file(body=OPEN_BODY), unproven=receipt_file().receipt.unproven)
    with pytest.raises(InvalidReceipt, match="does not say"):
        check_receipt(hidden.receipt)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_batch__each_receipt__is_shown_to_be_in_it_and_no_other(count: int) -> None:
    receipts = [receipt_file(nonce=nonce).receipt for nonce in range(count)]
    worker = Address(address_of(WORKER_KEY))
    batch = Batch.of(DOMAIN, worker, 3, receipts, WORKER_KEY)
    assert batch.cost_wei == sum(receipt.cost_wei for receipt in receipts)
    for index, receipt in enumerate(receipts):
        path = batch_path(receipts, index)
        verify_in_batch(batch, receipt, index, path)
        dearer = dataclasses.replace(receipt, cost_wei=Wei(receipt.cost_wei + 1))
        for wrong in ((dearer, index, path), (receipt, index + 1, path), (receipt, index, [*path, bytes(32)])):
            with pytest.raises(InvalidReceipt, match="batch"):
                verify_in_batch(batch, *wrong)


def test_batch__signed_by_another_or_with_another_total__is_refused() -> None:
    receipts = [receipt_file(nonce=nonce).receipt for nonce in range(2)]
    worker = Address(address_of(WORKER_KEY))
    batch = Batch.of(DOMAIN, worker, 0, receipts, STRANGER_KEY)
    honest = Batch.of(DOMAIN, worker, 0, receipts, WORKER_KEY)
    for wrong in (
        batch,
        dataclasses.replace(honest, cost_wei=honest.cost_wei + 1),
        dataclasses.replace(honest, number=1),
    ):
        with pytest.raises(InvalidReceipt, match="batch-signature"):
            verify_in_batch(wrong, receipts[0], 0, batch_path(receipts, 0))
