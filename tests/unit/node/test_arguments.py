"""Parameters of the methods: transactions that are described, overrides, log filters, percentiles."""

from __future__ import annotations

from typing import Any

import pytest

from metis.rpc.errors import RpcError
from metis.rpc.namespaces.eth_fees import checked_percentiles, hex_or_decimal
from metis.rpc.namespaces.log_filter import LogFilter, log_filter, log_selector
from metis.rpc.namespaces.overrides import AccountOverride, BlockOverride, block_overrides, state_overrides
from metis.rpc.namespaces.transaction_arguments import transaction_arguments, unsigned_call
from metis.rpc.parameters import BadValue
from metis.types import Address

ONE = "0x" + "11" * 20
HASH = "0x" + "22" * 32


def call(fields: dict[str, Any]) -> Any:
    return unsigned_call(transaction_arguments(fields), chain_id=7, gas_max=1_000)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, 0),
        ({"gasPrice": "0x1"}, 0),
        ({"accessList": []}, 1),
        ({"maxFeePerGas": "0x1"}, 2),
        ({"maxPriorityFeePerGas": "0x0"}, 2),
        ({"blobVersionedHashes": [HASH], "maxFeePerBlobGas": "0x1"}, 3),
        ({"authorizationList": []}, 4),
    ],
)
def test_call__with_fields_of_a_type__has_that_type(fields: dict[str, Any], kind: int) -> None:
    assert call(fields).type == kind


def test_call__without_gas__gets_the_most_and_never_more() -> None:
    assert call({}).gas_limit == 1_000
    assert call({"gas": "0x0"}).gas_limit == 1_000
    assert call({"gas": "0xffffff"}).gas_limit == 1_000
    assert call({"gas": "0x10"}).gas_limit == 16


def test_call__with_data_or_input__takes_either() -> None:
    assert call({"data": "0x01"}).data == call({"input": "0x01"}).data == b"\x01"
    assert call({"data": "0x01", "input": "0x01"}).data == b"\x01"


@pytest.mark.parametrize(
    "fields",
    [
        {"data": "0x01", "input": "0x02"},
        {"gasPrice": "0x1", "maxFeePerGas": "0x1"},
        {"from": "0x11"},
        {"value": "1"},
        {"accessList": [{}]},
        {"authorizationList": [{"address": ONE}]},
    ],
)
def test_call__that_contradicts_itself_or_is_malformed__is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        transaction_arguments(fields)


def test_call__for_another_chain__is_refused() -> None:
    with pytest.raises(RpcError, match="chainId does not match"):
        call({"chainId": "0x8"})


def test_authorization__with_words_of_32_bytes__is_read() -> None:
    fields = {
        "chainId": "0x1",
        "address": ONE,
        "nonce": "0x0",
        "yParity": "0x0",
        "r": "0x" + "00" * 31 + "05",
        "s": "0x0",
    }
    (entry,) = call({"authorizationList": [fields]}).authorization_list
    assert (entry.r, entry.s) == (5, 0)


def test_state_overrides__with_every_field__are_read() -> None:
    plain = {"balance": "0x1", "nonce": "0x2", "code": "0x03", "stateDiff": {"0x4": HASH}}
    given = {ONE: plain | {"movePrecompileToAddress": ONE}}
    expected = AccountOverride(1, 2, b"\x03", None, {4: int(HASH, 16)}, Address(bytes.fromhex(ONE[2:])))
    assert state_overrides(given) == {bytes.fromhex(ONE[2:]): expected}


@pytest.mark.parametrize("entry", [{"state": {}, "stateDiff": {}}, {"movePrecompileToAddress": "0x1"}, {"nonce": 1}])
def test_state_overrides__that_cannot_be__are_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        state_overrides({ONE: entry})


def test_block_overrides__with_old_and_new_names__mean_the_same() -> None:
    new = block_overrides({"feeRecipient": ONE, "prevRandao": HASH, "baseFeePerGas": "0x5", "time": "0x6"})
    old = block_overrides({"coinbase": ONE, "random": HASH, "baseFee": "0x5", "time": "0x6"})
    assert (
        new
        == old
        == BlockOverride(
            timestamp_s=6, beneficiary=new.beneficiary, prev_randao=new.prev_randao, base_fee_per_gas_wei=5
        )
    )


def test_log_filter__with_alternatives__accepts_what_geth_does() -> None:
    wish = log_filter({"address": [ONE], "topics": [None, [HASH, "0x" + "33" * 32]]})
    topic = bytes.fromhex(HASH[2:])
    one = bytes.fromhex(ONE[2:])
    assert wish.accepts({"address": one, "topics": [b"x" * 32, topic]})
    assert not wish.accepts({"address": one, "topics": [topic]})
    assert not wish.accepts({"address": one, "topics": [topic, b"x" * 32]})
    assert not wish.accepts({"address": b"y" * 20, "topics": [topic, topic]})


def test_log_filter__with_null_among_alternatives__takes_anything_there() -> None:
    assert log_filter({"topics": [[HASH, None]]}).topics == (None,)
    assert log_filter({"address": ONE}).addresses == (bytes.fromhex(ONE[2:]),)


def test_log_filter__with_hash_and_range__is_refused() -> None:
    with pytest.raises(BadValue):
        log_filter({"blockHash": HASH, "fromBlock": "0x1"})
    with pytest.raises(RpcError):
        log_filter({"topics": [None] * 5})


def test_log_selector__without_wishes__is_none_and_equal_ones_are_equal() -> None:
    assert log_selector(None) is None
    assert log_selector({}) is None
    assert log_selector({"address": ONE, "fromBlock": "0x1"}) == LogFilter(addresses=(bytes.fromhex(ONE[2:]),))  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "count"), [("0x5", 5), (5, 5), ("5", 5), ("0x0", 0)])
def test_block_count__as_hex_number_or_decimal__is_read(value: Any, count: int) -> None:
    assert hex_or_decimal(value) == count


@pytest.mark.parametrize("value", [-1, 1.5, True, "0x", "9" * 30, None, "0x05"])
def test_block_count__that_is_none__is_refused(value: Any) -> None:
    with pytest.raises(BadValue):
        hex_or_decimal(value)


@pytest.mark.parametrize("value", [[101], [-1], [50, 10], ["a"], "a", [True], [1] * 101])
def test_percentiles__out_of_range_or_order__are_refused(value: Any) -> None:
    with pytest.raises(RpcError):
        checked_percentiles(value)


def test_percentiles__in_order__are_read() -> None:
    assert checked_percentiles([0, 50, 50.5, 100]) == [0.0, 50.0, 50.5, 100.0]
    assert checked_percentiles(None) == []
