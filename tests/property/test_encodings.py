"""Whatever is encoded without the engine is decoded by it to the same values, and encoded back to the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from metis import engine
from metis.types import Header, Withdrawal
from tests.property.encodings import (
    SignedTransaction,
    addresses,
    header_items,
    headers,
    quantities,
    signed_transactions,
)
from tests.property.oracle import big_endian, encode_rlp, keccak

_withdrawals = st.builds(Withdrawal, quantities, quantities, addresses, quantities)


@given(signed=signed_transactions())
def test_transaction__encoded_elsewhere__decodes_to_its_fields_and_back(signed: SignedTransaction) -> None:
    handle = engine.decode_transaction(signed.raw)

    assert engine.describe_transaction(handle) == signed.expected
    assert (handle.hash, handle.sender, handle.raw) == (signed.expected.hash, signed.expected.sender, signed.raw)


@given(batch=st.lists(signed_transactions(), max_size=5))
def test_transactions__decoded_as_a_batch__equal_those_decoded_alone(batch: Sequence[SignedTransaction]) -> None:
    handles = engine.decode_transactions([signed.raw for signed in batch], threads=2)

    assert [engine.describe_transaction(handle) for handle in handles] == [signed.expected for signed in batch]


@given(
    header=headers(),
    transactions=st.lists(signed_transactions(), max_size=3),
    ommers=st.lists(headers(), max_size=2),
    withdrawals=st.none() | st.lists(_withdrawals, max_size=3),
)
def test_block__encoded_elsewhere__decodes_to_its_fields_and_back(
    header: Header,
    transactions: Sequence[SignedTransaction],
    ommers: Sequence[Header],
    withdrawals: Sequence[Withdrawal] | None,
) -> None:
    # In a block a legacy transaction is its list, a typed one a byte string around its encoding.
    bodies = [list(signed.items) if signed.expected.type == 0 else signed.raw for signed in transactions]
    items = [header_items(header), bodies, [header_items(ommer) for ommer in ommers]]
    if withdrawals is not None:
        items.append(
            [
                [
                    big_endian(entry.index),
                    big_endian(entry.validator_index),
                    entry.address,
                    big_endian(entry.amount_gwei),
                ]
                for entry in withdrawals
            ]
        )
    encoded = encode_rlp(items)

    handle = engine.decode_block(encoded)
    block = engine.describe_block(handle)

    assert handle.rlp == encoded
    assert (handle.hash, handle.number) == (keccak(encode_rlp(header_items(header))), header.number)
    assert block.header == header
    assert block.transactions == tuple(signed.expected for signed in transactions)
    assert block.ommer_hashes == tuple(ommer.hash for ommer in ommers)
    assert block.withdrawals == (None if withdrawals is None else tuple(withdrawals))
    assert block.size_bytes == len(encoded)
