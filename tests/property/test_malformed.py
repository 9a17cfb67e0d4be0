"""Broken bytes give a typed error that names the field; nothing else ever comes out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metis import engine
from metis.engine import BlockHandle, MemoryStore
from metis.types import DecodeError, Header, InvalidBlock, InvalidTransaction
from tests.property.encodings import (
    HEADER_FIELDS,
    TRANSACTION_FIELDS,
    SignedTransaction,
    header_items,
    headers,
    signed_transactions,
)
from tests.property.oracle import big_endian, decode_rlp, encode_rlp
from tests.property.sample_chain import fork_of, sample_chain

_LIST_FIELDS = {"access_list", "blob_versioned_hashes", "authorization_list"}
_INTEGER_FIELDS = {
    "chain_id",
    "nonce",
    "gas_price_wei",
    "max_priority_fee_per_gas_wei",
    "gas_limit",
    "value_wei",
    "max_fee_per_blob_gas_wei",
    "v",
    "r",
    "s",
    "difficulty",
    "number",
    "gas_used",
    "timestamp_s",
    "base_fee_per_gas_wei",
    "blob_gas_used",
    "excess_blob_gas",
}
_BYTES_OF_ANY_LENGTH = {"data", "extra_data"}


@st.composite
def _damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """Bytes with one thing changed: a byte flipped, an end cut off or added, a piece removed or doubled."""
    position = draw(st.integers(0, len(raw) - 1))
    length = draw(st.integers(1, 40))
    kind = draw(st.sampled_from(["flip", "cut", "extend", "remove", "double"]))
    if kind == "flip":
        return raw[:position] + bytes([raw[position] ^ draw(st.integers(1, 255))]) + raw[position + 1 :]
    if kind == "cut":
        return raw[:position]
    if kind == "extend":
        return raw + draw(st.binary(min_size=1, max_size=40))
    if kind == "remove":
        return raw[:position] + raw[position + length :]
    return raw[: position + length] + raw[position:]


def _decodes_or_names_the_field(raw: bytes) -> None:
    try:
        handle = engine.decode_transaction(raw)
    except DecodeError as error:
        refusal = error
    else:
        assert handle.raw == raw
        engine.describe_transaction(handle)
        return
    assert refusal.subject == "transaction"
    assert refusal.field
    assert refusal.problem
    assert refusal.index is None


@given(data=st.data(), signed=signed_transactions())
def test_transaction__damaged_bytes__decode_or_name_the_field(data: st.DataObject, signed: SignedTransaction) -> None:
    _decodes_or_names_the_field(data.draw(_damaged(signed.raw)))


@given(raw=st.binary(max_size=300))
def test_transaction__any_bytes__decode_or_name_the_field(raw: bytes) -> None:
    _decodes_or_names_the_field(raw)


@given(data=st.data(), signed=signed_transactions())
def test_transaction__one_field_malformed__is_the_one_that_is_named(
    data: st.DataObject, signed: SignedTransaction
) -> None:
    names = TRANSACTION_FIELDS[signed.expected.type]
    position = data.draw(st.integers(0, len(names) - 1))
    name, items = names[position], list(signed.items)
    items[position] = data.draw(_malformed_values(name))

    with pytest.raises(DecodeError) as caught:
        engine.decode_transaction(signed.encode_with(items))

    assert caught.value.field.split("[")[0] == name


@given(data=st.data(), signed=signed_transactions())
def test_transaction__a_field_missing_or_too_many__is_refused(data: st.DataObject, signed: SignedTransaction) -> None:
    items = list(signed.items)
    if data.draw(st.booleans()):
        del items[-1]
        expected = "s"
    else:
        items.append(b"\x01")
        expected = "payload"

    with pytest.raises(DecodeError) as caught:
        engine.decode_transaction(signed.encode_with(items))

    assert caught.value.field == expected


@given(data=st.data(), batch=st.lists(signed_transactions(), min_size=1, max_size=4))
def test_transactions__one_of_a_batch_malformed__error_has_its_index(
    data: st.DataObject, batch: list[SignedTransaction]
) -> None:
    raw = [signed.raw for signed in batch]
    index = data.draw(st.integers(0, len(raw) - 1))
    raw[index] = raw[index][:-1]

    with pytest.raises(DecodeError) as caught:
        engine.decode_transactions(raw, threads=2)

    assert caught.value.index == index


@given(data=st.data(), header=headers())
def test_block__one_header_field_malformed__is_the_one_that_is_named(data: st.DataObject, header: Header) -> None:
    items: list[Any] = list(header_items(header))
    position = data.draw(st.integers(0, len(items) - 1))
    items[position] = data.draw(_malformed_values(HEADER_FIELDS[position]))

    with pytest.raises(DecodeError) as caught:
        engine.decode_block(encode_rlp([items, [], []]))

    assert caught.value.subject == "block"
    assert caught.value.field == f"header.{HEADER_FIELDS[position]}"


# Fields that a builder chooses: another value is another block, as right as the first. (The gas
# limit may move by a 1024th of the parent's.)
_FREE_HEADER_FIELDS = {"extra_data", "prev_randao", "gas_limit"}

# Fields without a rule of their own that the state shows: who is paid, what EIP-4788 stores.
_FIELDS_IN_THE_STATE = {"beneficiary", "parent_beacon_block_root", "timestamp_s"}


def _import(raw: bytes) -> tuple[BlockHandle, MemoryStore]:
    """Import bytes on top of the sample chain, in a store of their own."""
    sample = sample_chain()
    store = fork_of(sample.chain)
    try:
        block = engine.decode_block(raw)
        engine.import_block(store, sample.chain.spec, sample.chain.head, block)
    except (DecodeError, InvalidBlock):
        assert (store.state_root(), store.block_number) == (sample.state_root, 0)
        # The store that refused a wrong block still takes the right one.
        engine.import_block(store, sample.chain.spec, sample.chain.head, sample.next_block)
        raise
    return block, store


@given(data=st.data())
def test_block__damaged_bytes__are_refused_and_the_store_stays_as_it_is(data: st.DataObject) -> None:
    sample = sample_chain()
    raw = data.draw(_damaged(sample.next_block.rlp))
    assume(raw != sample.next_block.rlp)

    try:
        block, store = _import(raw)
    except (DecodeError, InvalidBlock) as error:
        refusal = error
    else:
        header, right = engine.describe_block(block).header, engine.describe_block(sample.next_block).header
        differing = {name for name in HEADER_FIELDS if getattr(header, name) != getattr(right, name)}
        assert differing <= _FREE_HEADER_FIELDS
        assert store.state_root() == right.state_root
        return
    assert refusal.field
    assert refusal.problem


@given(data=st.data())
def test_block__one_header_field_changed__is_invalid_and_named(data: st.DataObject) -> None:
    header, *body = decode_rlp(sample_chain().next_block.rlp)
    position = data.draw(st.integers(0, len(header) - 1))
    name, old = HEADER_FIELDS[position], header[position]
    assume(name not in _FREE_HEADER_FIELDS)
    # A header's nonce is eight bytes, not a number.
    new = _changed(old, as_integer=name in _INTEGER_FIELDS - {"nonce"})
    changed = [*header[:position], new, *header[position + 1 :]]

    with pytest.raises(InvalidBlock) as caught:
        _import(encode_rlp([changed, *body]))

    assert caught.value.field == ("state_root" if name in _FIELDS_IN_THE_STATE else name)


def test_block__gas_limit_too_far_from_the_parents__is_invalid_and_named() -> None:
    header, *body = decode_rlp(sample_chain().next_block.rlp)
    position = HEADER_FIELDS.index("gas_limit")
    header[position] = big_endian(int.from_bytes(header[position], "big") * 1025 // 1024 + 1)

    with pytest.raises(InvalidBlock) as caught:
        _import(encode_rlp([header, *body]))

    assert caught.value.field == "gas_limit"


@given(data=st.data())
def test_block__one_transaction_more_or_less__is_invalid(data: st.DataObject) -> None:
    header, transactions, *rest = decode_rlp(sample_chain().next_block.rlp)
    index = data.draw(st.integers(0, len(transactions) - 1))
    fewer, more = [*transactions[:index], *transactions[index + 1 :]], [*transactions, transactions[index]]

    with pytest.raises(InvalidBlock) as caught:
        _import(encode_rlp([header, data.draw(st.sampled_from([fewer, more])), *rest]))

    assert caught.value.field in {"transactions_root", f"transactions[{len(transactions)}]"}


@given(signed=signed_transactions())
def test_transaction__of_a_stranger__is_refused_with_a_reason_or_runs(signed: SignedTransaction) -> None:
    """Any decodable transaction is refused by a rule, or runs; the builder never fails for it."""
    sample = sample_chain()
    candidate = engine.decode_transaction(signed.raw)

    built = engine.build_block(
        fork_of(sample.chain), sample.chain.spec, sample.chain.head, sample.attributes, [candidate]
    )

    assert len(built.receipts) + len(built.skipped) == 1
    for skipped in built.skipped:
        assert isinstance(skipped.error, InvalidTransaction)
        assert all((skipped.error.reason, skipped.error.field, skipped.error.detail))


def _changed(value: bytes, *, as_integer: bool) -> bytes:
    if as_integer:
        return big_endian(int.from_bytes(value, "big") + 1)
    return bytes([value[0] ^ 1]) + value[1:] if value else b"\x01"


@st.composite
def _malformed_values(draw: st.DrawFn, name: str) -> Any:
    """An RLP item that this field can never have."""
    if name in _LIST_FIELDS:
        return draw(st.sampled_from([b"", b"\x01", [b"\x01"], [[b""]]]))
    if name == "y_parity":
        return draw(st.sampled_from([b"\x02", b"\x1b", b"\x00", b"\x01\x00", [b"\x01"]]))
    if name in _BYTES_OF_ANY_LENGTH:
        return draw(st.sampled_from([[], [b"\x01"]]))
    if name in _INTEGER_FIELDS:
        return draw(st.sampled_from([b"\x00", b"\x00\x01", b"\x01" * 33, [], [b"\x01"]]))
    length = {"to": 20, "beneficiary": 20, "logs_bloom": 256, "nonce": 8}.get(name, 32)
    return draw(st.sampled_from([b"\x01" * (length - 1), b"\x01" * (length + 1), [], [b"\x01"]]))
