"""The canonical bytes of a receipt: a fixed length, big-endian, every field at its place; docs/receipts.md."""

from __future__ import annotations

from typing import Final

from metis.ai.receipt.fields import Domain, Mode, Receipt, Request, Unproven
from metis.types import Address, Hash32, InvalidReceipt, TimestampS, Wei

__all__ = ["LAYOUT", "RECEIPT_BYTES", "RECEIPT_MAGIC", "RECEIPT_VERSION", "decode_receipt", "encode_receipt"]

RECEIPT_MAGIC: Final = b"METISRCP"
RECEIPT_VERSION: Final = 1

# Name and length in bytes, in order. Numbers are big-endian without sign.
LAYOUT: Final[tuple[tuple[str, int], ...]] = (
    ("magic", 8),
    ("version", 2),
    ("chain_id", 8),
    ("contract", 20),
    ("payer", 20),
    ("worker", 20),
    ("model", 32),
    ("body", 32),
    ("max_cost_wei", 32),
    ("nonce", 8),
    ("deadline_s", 8),
    ("inputs", 32),
    ("outputs", 32),
    ("trace", 32),
    ("runs", 4),
    ("units", 8),
    ("price_wei", 32),
    ("cost_wei", 32),
    ("issued_at_s", 8),
    ("mode", 1),
    ("unproven", 4),
    ("graph_version", 2),
    ("trace_version", 2),
    ("meter_version", 2),
    ("payer_signature", 65),
    ("worker_signature", 65),
)
RECEIPT_BYTES: Final = sum(length for _, length in LAYOUT)


def encode_receipt(receipt: Receipt) -> bytes:
    """
    The bytes of a receipt.

    Raises
    ------
    InvalidReceipt : a field does not fit its place.
    """
    request = receipt.request
    values: dict[str, bytes | int] = {
        "magic": RECEIPT_MAGIC,
        "version": RECEIPT_VERSION,
        "chain_id": receipt.domain.chain_id,
        "contract": receipt.domain.contract,
        "payer": request.payer,
        "worker": request.worker,
        "model": request.model,
        "body": request.body,
        "max_cost_wei": request.max_cost_wei,
        "nonce": request.nonce,
        "deadline_s": request.deadline_s,
    }
    out = bytearray()
    for name, length in LAYOUT:
        value = values[name] if name in values else getattr(receipt, name)
        if isinstance(value, int):
            if not 0 <= value < 1 << (8 * length):
                raise InvalidReceipt(name, f"{value} has more than {length} bytes")
            value = value.to_bytes(length, "big")
        if len(value) != length:
            raise InvalidReceipt(name, f"{len(value)} bytes instead of {length}")
        out += value
    return bytes(out)


def decode_receipt(raw: bytes) -> Receipt:
    """
    The only receipt with these bytes. Whether it is true is another question: :mod:`metis.ai.verify`.

    Raises
    ------
    InvalidReceipt : the bytes are not a receipt; the field says where.
    """
    if len(raw) != RECEIPT_BYTES:
        raise InvalidReceipt("length", f"{len(raw)} bytes instead of {RECEIPT_BYTES}")
    parts: dict[str, bytes] = {}
    begin = 0
    for name, length in LAYOUT:
        parts[name] = raw[begin : begin + length]
        begin += length
    if parts["magic"] != RECEIPT_MAGIC:
        raise InvalidReceipt("magic", "this is no execution receipt")

    def number(name: str) -> int:
        return int.from_bytes(parts[name], "big")

    if number("version") != RECEIPT_VERSION:
        raise InvalidReceipt("version", f"{number('version')}; this release reads {RECEIPT_VERSION}")
    if number("mode") not in set(Mode):
        raise InvalidReceipt("mode", f"{number('mode')} is not known")
    if number("unproven") & ~sum(Unproven):
        raise InvalidReceipt("unproven", "a bit is set that has no meaning")
    request = Request(
        Address(parts["payer"]),
        Address(parts["worker"]),
        Hash32(parts["model"]),
        Hash32(parts["body"]),
        Wei(number("max_cost_wei")),
        number("nonce"),
        TimestampS(number("deadline_s")),
    )
    return Receipt(
        Domain(number("chain_id"), Address(parts["contract"])),
        request,
        Hash32(parts["inputs"]),
        Hash32(parts["outputs"]),
        Hash32(parts["trace"]),
        number("runs"),
        number("units"),
        Wei(number("price_wei")),
        Wei(number("cost_wei")),
        TimestampS(number("issued_at_s")),
        Mode(number("mode")),
        Unproven(number("unproven")),
        number("graph_version"),
        number("trace_version"),
        number("meter_version"),
        parts["payer_signature"],
        parts["worker_signature"],
    )
