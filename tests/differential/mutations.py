"""Blocks that are wrong in one place: a valid block's encoding, taken apart, changed and put together again."""

from __future__ import annotations

from typing import Any

from tests.differential.rlp import decode_rlp, encode_rlp

__all__ = ["HEADER_FIELDS", "mutations"]

# Order in the encoding of a header (Yellow Paper §4.4.3 and the EIPs that append to it).
HEADER_FIELDS = [
    "parent_hash",
    "ommers_hash",
    "beneficiary",
    "state_root",
    "transactions_root",
    "receipts_root",
    "logs_bloom",
    "difficulty",
    "number",
    "gas_limit",
    "gas_used",
    "timestamp",
    "extra_data",
    "prev_randao",
    "nonce",
    "base_fee_per_gas",
    "withdrawals_root",
    "blob_gas_used",
    "excess_blob_gas",
    "parent_beacon_block_root",
    "requests_hash",
]
FIXED_SIZE = {
    *[
        "parent_hash",
        "ommers_hash",
        "beneficiary",
        "state_root",
        "transactions_root",
        "receipts_root",
        "logs_bloom",
        "prev_randao",
    ],
    *["nonce", "withdrawals_root", "parent_beacon_block_root", "requests_hash", "extra_data"],
}
HEADER, TRANSACTIONS, OMMERS, WITHDRAWALS = range(4)


def to_number(item: bytes) -> int:
    return int.from_bytes(item, "big")


def number_bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def changed_header(block: list[Any], position: int, value: bytes) -> bytes:
    header = list(block[HEADER])
    header[position] = value
    return encode_rlp([header, *block[1:]])


def mutations(encoded: bytes) -> dict[str, bytes]:
    """
    Name → encoding with that one thing changed.

    Only the thing itself is changed: roots that would follow from it are left as they were.
    """
    block: list[Any] = decode_rlp(encoded)
    found = {"unchanged": encoded}
    for position, name in enumerate(HEADER_FIELDS[: len(block[HEADER])]):
        value = block[HEADER][position]
        if name in FIXED_SIZE:
            flipped = value[:-1] + bytes([value[-1] ^ 1]) if value else b"\x01"
            found[f"{name}: last bit flipped"] = changed_header(block, position, flipped)
            if name != "extra_data":
                found[f"{name}: one byte short"] = changed_header(block, position, value[:-1])
                found[f"{name}: one byte long"] = changed_header(block, position, value + b"\x00")
        else:
            found[f"{name}: one more"] = changed_header(block, position, number_bytes(to_number(value) + 1))
            if to_number(value):
                found[f"{name}: one less"] = changed_header(block, position, number_bytes(to_number(value) - 1))
            found[f"{name}: leading zero"] = changed_header(block, position, b"\x00" + value)
            found[f"{name}: 33 bytes"] = changed_header(block, position, b"\x01" + bytes(32))
    found["extra_data: 33 bytes"] = changed_header(block, HEADER_FIELDS.index("extra_data"), b"x" * 33)
    header = block[HEADER]
    found["header without its last field"] = encode_rlp([header[:-1], *block[1:]])
    found["header with a field more"] = encode_rlp([[*header, b"\x01"], *block[1:]])
    return found | body_mutations(block) | encoding_mutations(block, encoded)


def body_mutations(block: list[Any]) -> dict[str, bytes]:
    header, transactions, ommers, withdrawals = block
    found = {
        "an ommer": encode_rlp([header, transactions, [header], withdrawals]),
        "a withdrawal more": encode_rlp([header, transactions, ommers, [*withdrawals, [1, 2, bytes(20), 3]]]),
        "a transaction that is none": encode_rlp([header, [*transactions, b"\x02\xc0"], ommers, withdrawals]),
    }
    if transactions:
        found["first transaction left out"] = encode_rlp([header, transactions[1:], ommers, withdrawals])
        found["last transaction twice"] = encode_rlp([header, [*transactions, transactions[-1]], ommers, withdrawals])
    if len(transactions) > 1:
        found["transactions reversed"] = encode_rlp([header, transactions[::-1], ommers, withdrawals])
    if withdrawals:
        index, validator, address, amount = withdrawals[0]
        richer = [index, validator, address, number_bytes(to_number(amount) + 1)]
        found["withdrawals left out"] = encode_rlp([header, transactions, ommers, []])
        found["a withdrawal of one Gwei more"] = encode_rlp([header, transactions, ommers, [richer, *withdrawals[1:]]])
    if len(withdrawals) > 1:
        found["withdrawals reversed"] = encode_rlp([header, transactions, ommers, withdrawals[::-1]])
    return found


def encoding_mutations(block: list[Any], encoded: bytes) -> dict[str, bytes]:
    return {
        "no withdrawals list": encode_rlp(block[:WITHDRAWALS]),
        "a list more": encode_rlp([*block, []]),
        "a byte more": encoded + b"\x00",
        "a byte less": encoded[:-1],
        "no ommers list": encode_rlp([block[HEADER], block[TRANSACTIONS], block[WITHDRAWALS]]),
        "nothing": b"\xc0",
    }
