"""
Transactions, headers and blocks as Hypothesis values, encoded and signed without the engine.

``rlp`` encodes and ``eth_keys`` signs; the field lists are written down again here, from the EIPs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from hypothesis import strategies as st

from metis.types import (
    AccessListEntry,
    Address,
    Authorization,
    Gas,
    Hash32,
    Header,
    Transaction,
    UnsignedTransaction,
    Wei,
)
from tests.property.oracle import PrivateKey, big_endian, encode_rlp, keccak

__all__ = [
    "HEADER_FIELDS",
    "TRANSACTION_FIELDS",
    "SignedTransaction",
    "addresses",
    "header_items",
    "headers",
    "quantities",
    "signed_transactions",
    "words",
]

# Order of the fields in each type's RLP list, by the names of metis.types.
_FEE_MARKET = (
    "chain_id",
    "nonce",
    "max_priority_fee_per_gas_wei",
    "gas_price_wei",
    "gas_limit",
    "to",
    "value_wei",
    "data",
    "access_list",
)
TRANSACTION_FIELDS: dict[int, tuple[str, ...]] = {
    0: ("nonce", "gas_price_wei", "gas_limit", "to", "value_wei", "data", "v", "r", "s"),
    1: (
        "chain_id",
        "nonce",
        "gas_price_wei",
        "gas_limit",
        "to",
        "value_wei",
        "data",
        "access_list",
        "y_parity",
        "r",
        "s",
    ),
    2: (*_FEE_MARKET, "y_parity", "r", "s"),
    3: (*_FEE_MARKET, "max_fee_per_blob_gas_wei", "blob_versioned_hashes", "y_parity", "r", "s"),
    4: (*_FEE_MARKET, "authorization_list", "y_parity", "r", "s"),
}
HEADER_FIELDS = tuple(field.name for field in fields(Header) if field.name != "hash")

addresses = st.binary(min_size=20, max_size=20).map(Address)
hashes = st.binary(min_size=32, max_size=32).map(Hash32)
words = st.one_of(st.integers(0, 2**16), st.integers(0, 2**256 - 1))
quantities = st.one_of(st.integers(0, 2**16), st.integers(0, 2**64 - 1))
_fees = st.one_of(st.integers(0, 10**12), st.integers(0, 2**128 - 1)).map(Wei)
_private_keys = st.integers(1, 2**250).map(lambda key: PrivateKey(key.to_bytes(32, "big")))
_access_lists = st.lists(st.builds(AccessListEntry, addresses, st.lists(words, max_size=3).map(tuple)), max_size=3).map(
    tuple
)


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction as the engine should describe it, its encoding, and its RLP items."""

    expected: Transaction
    raw: bytes
    items: tuple[Any, ...]

    def encode_with(self, items: list[Any]) -> bytes:
        """Encode other items in the place of this transaction's; for malformed ones."""
        kind = self.expected.type
        return (bytes([kind]) if kind else b"") + encode_rlp(items)


@st.composite
def _authorizations(draw: st.DrawFn) -> Authorization:
    signer = draw(_private_keys)
    chain_id, address, nonce = draw(st.sampled_from([0, 1, 7])), draw(addresses), draw(st.integers(0, 2**64 - 2))
    # SPEC: EIP-7702, the authority signs 0x05 and the list of chain id, address, nonce.
    message = keccak(b"\x05" + encode_rlp([big_endian(chain_id), address, big_endian(nonce)]))
    signature = signer.sign_msg_hash(message)
    authority = Address(signer.public_key.to_canonical_address())
    return Authorization(chain_id, address, nonce, signature.v, signature.r, signature.s, authority)


@st.composite
def unsigned_transactions(draw: st.DrawFn, sender: Address, kind: int) -> UnsignedTransaction:
    """A transaction of one type, within the ranges that its encoding allows."""
    gas_price = draw(_fees)
    chain_ids = st.integers(1, 2**32)
    required = kind in (3, 4)
    return UnsignedTransaction(
        sender=sender,
        nonce=draw(quantities),
        gas_limit=Gas(draw(quantities)),
        gas_price_wei=gas_price,
        to=draw(addresses if required else st.none() | addresses),
        value_wei=Wei(draw(words)),
        data=draw(st.binary(max_size=100)),
        type=kind,
        chain_id=draw(st.none() | chain_ids if kind == 0 else chain_ids),
        max_priority_fee_per_gas_wei=draw(_fees) if kind >= 2 else None,
        access_list=draw(_access_lists) if kind >= 1 else (),
        max_fee_per_blob_gas_wei=draw(_fees) if kind == 3 else None,
        blob_versioned_hashes=tuple(draw(st.lists(hashes, max_size=3))) if kind == 3 else (),
        authorization_list=tuple(draw(st.lists(_authorizations(), max_size=2))) if kind == 4 else (),
    )


@st.composite
def signed_transactions(draw: st.DrawFn, kinds: tuple[int, ...] = (0, 1, 2, 3, 4)) -> SignedTransaction:
    """A signed transaction of any of the types."""
    signer = draw(_private_keys)
    kind = draw(st.sampled_from(kinds))
    sender = Address(signer.public_key.to_canonical_address())
    unsigned = draw(unsigned_transactions(sender, kind))
    names = TRANSACTION_FIELDS[kind][:-3]
    payload = [_item(name, getattr(unsigned, name)) for name in names]
    if kind == 0:
        # SPEC: EIP-155, the chain id is signed in the place of v, r and s.
        protection = [] if unsigned.chain_id is None else [big_endian(unsigned.chain_id), b"", b""]
        message = encode_rlp([*payload, *protection])
    else:
        message = bytes([kind]) + encode_rlp(payload)
    signature = signer.sign_msg_hash(keccak(message))
    v = signature.v
    if kind == 0:
        v += 27 if unsigned.chain_id is None else 35 + 2 * unsigned.chain_id
    items = (*payload, big_endian(v), big_endian(signature.r), big_endian(signature.s))
    raw = (bytes([kind]) if kind else b"") + encode_rlp(items)
    values = {field.name: getattr(unsigned, field.name) for field in fields(UnsignedTransaction)}
    expected = Transaction(**values, hash=Hash32(keccak(raw)), y_parity=signature.v, r=signature.r, s=signature.s)
    return SignedTransaction(expected, raw, items)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    """A header of any fork: the later fields are there up to some point."""
    fixed: dict[str, Any] = {
        "parent_hash": draw(hashes),
        "ommers_hash": draw(hashes),
        "beneficiary": draw(addresses),
        "state_root": draw(hashes),
        "transactions_root": draw(hashes),
        "receipts_root": draw(hashes),
        "logs_bloom": draw(st.binary(min_size=256, max_size=256)),
        "difficulty": draw(words),
        "number": draw(quantities),
        "gas_limit": draw(quantities),
        "gas_used": draw(quantities),
        "timestamp_s": draw(quantities),
        "extra_data": draw(st.binary(max_size=32)),
        "prev_randao": draw(hashes),
        "nonce": draw(st.binary(min_size=8, max_size=8)),
    }
    later: dict[str, Any] = {
        "base_fee_per_gas_wei": draw(quantities),
        "withdrawals_root": draw(hashes),
        "blob_gas_used": draw(quantities),
        "excess_blob_gas": draw(quantities),
        "parent_beacon_block_root": draw(hashes),
        "requests_hash": draw(hashes),
    }
    # London, Shanghai, Cancun and Prague each added some; no fork has one without those before it.
    present = draw(st.sampled_from([0, 1, 2, 5, 6]))
    names = list(later)[:present]
    header = Header(hash=Hash32(b""), **fixed, **{name: later[name] for name in names})
    digest = Hash32(keccak(encode_rlp(header_items(header))))
    return Header(**{**{name: getattr(header, name) for name in HEADER_FIELDS}, "hash": digest})


def header_items(header: Header) -> list[bytes]:
    """RLP items of a header."""
    values = [getattr(header, name) for name in HEADER_FIELDS]
    return [_item("", value) for value in values if value is not None]


def _item(name: str, value: Any) -> Any:
    if name == "to" and value is None:
        return b""
    if isinstance(value, int):
        return big_endian(value)
    if name == "access_list":
        return [[entry.address, [slot.to_bytes(32, "big") for slot in entry.slots]] for entry in value]
    if name == "authorization_list":
        return [
            [
                big_endian(entry.chain_id),
                entry.address,
                *map(big_endian, (entry.nonce, entry.y_parity, entry.r, entry.s)),
            ]
            for entry in value
        ]
    if name == "blob_versioned_hashes":
        return list(value)
    return value
