"""Parameters: what geth accepts is accepted, what geth refuses is refused, in geth's words."""

from __future__ import annotations

from typing import Any

import pytest

from metis.rpc import parameters
from metis.rpc.parameters import BadValue, BlockByHash

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
HASH = "0x" + "ab" * 32


def problem_of(parse: Any, value: Any) -> str:
    with pytest.raises(BadValue) as caught:
        parse(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "number"),
    [("0x0", 0), ("0x1", 1), ("0Xff", 255), ("0xFf", 255), ("", 0), ("0x" + "f" * 64, 2**256 - 1)],
)
def test_quantity__as_geth_takes_it__is_a_number(value: str, number: int) -> None:
    assert parameters.quantity(value) == number


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("0x", 'hex string "0x"'),
        ("1", "hex string without 0x prefix"),
        ("0x01", "hex number with leading zero digits"),
        ("0x00", "hex number with leading zero digits"),
        ("0xg", "invalid hex string"),
        ("0x0g", "invalid hex string"),
        ("0x1_0", "invalid hex string"),
        ("0x-1", "invalid hex string"),
        ("0x 1", "invalid hex string"),
        ("-0x1", "hex string without 0x prefix"),
        ("0x1\n", "invalid hex string"),
        ("0x１", "invalid hex string"),
        ("0x1" + "0" * 64, "hex number > 256 bits"),
        (1, "expected a hex string, got number"),
        (True, "expected a hex string, got boolean"),
        (None, "expected a hex string, got null"),
        ([], "expected a hex string, got array"),
        ({}, "expected a hex string, got object"),
    ],
)
def test_quantity__as_geth_refuses_it__says_why(value: Any, problem: str) -> None:
    assert problem_of(parameters.quantity, value) == problem


def test_quantity__of_64_bits__ends_there() -> None:
    parse = parameters.quantity_of(64)
    assert parse("0xffffffffffffffff") == 2**64 - 1
    assert problem_of(parse, "0x10000000000000000") == "hex number > 64 bits"


def test_number_or_quantity__for_cheat_methods__takes_both() -> None:
    assert parameters.number_or_quantity(5) == parameters.number_or_quantity("0x5") == 5
    assert problem_of(parameters.number_or_quantity, -1) == "number is negative"
    assert "got string" in problem_of(parameters.list_of(parameters.number_or_quantity), "5")
    assert "got number" in problem_of(parameters.number_or_quantity, 1.5)


@pytest.mark.parametrize(("value", "decoded"), [("0x", b""), ("", b""), ("0xAbcd", b"\xab\xcd"), ("0X00", b"\0")])
def test_data__as_geth_takes_it__is_bytes(value: str, decoded: bytes) -> None:
    assert parameters.data(value) == decoded


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("abcd", "hex string without 0x prefix"),
        ("0xabc", "hex string of odd length"),
        ("0xzz", "invalid hex string"),
        ("0xab cd ", "invalid hex string"),
        (b"\0", "expected a hex string, got bytes"),
    ],
)
def test_data__as_geth_refuses_it__says_why(value: Any, problem: str) -> None:
    assert problem_of(parameters.data, value) == problem


def test_address_and_hash__of_the_right_length__are_bytes() -> None:
    assert parameters.address(ADDRESS).hex() == ADDRESS[2:].lower()
    assert parameters.address(ADDRESS.lower()) == parameters.address(ADDRESS)
    assert parameters.hash32(HASH) == b"\xab" * 32


@pytest.mark.parametrize("value", ["0x", "", ADDRESS[:-2], ADDRESS + "00", HASH])
def test_address__of_another_length__is_refused(value: str) -> None:
    assert "want 40 for an address" in problem_of(parameters.address, value)


@pytest.mark.parametrize(
    ("value", "slot"), [("0x0", 0), ("0x00", 0), ("", 0), ("1f", 31), ("0x" + "0" * 64, 0), ("0xabc", 0xABC)]
)
def test_storage_slot__short_or_padded__is_a_number(value: str, slot: int) -> None:
    assert parameters.storage_slot(value) == slot


def test_storage_slot__malformed__is_refused_as_the_conformance_suite_expects() -> None:
    assert problem_of(parameters.storage_slot, "0xasdf") == 'invalid hex in storage key: "0xasdf"'
    long = "0x" + "0" * 65
    assert problem_of(parameters.storage_slot, long) == f'storage key too long (want at most 32 bytes): "{long}"'


@pytest.mark.parametrize("tag", ["earliest", "latest", "pending", "safe", "finalized"])
def test_block_id__tag__is_itself(tag: str) -> None:
    assert parameters.block_id(tag) == tag == parameters.block_number_or_tag(tag)
    assert parameters.block_id({"blockNumber": tag}) == tag


@pytest.mark.parametrize(
    ("value", "block"),
    [
        ("0x10", 16),
        (HASH, BlockByHash(b"\xab" * 32)),  # type: ignore[arg-type]
        ({"blockNumber": "0x10"}, 16),
        ({"blockHash": HASH}, BlockByHash(b"\xab" * 32)),  # type: ignore[arg-type]
        ({"blockHash": HASH, "requireCanonical": True}, BlockByHash(b"\xab" * 32, require_canonical=True)),  # type: ignore[arg-type]
        ({"blockHash": HASH, "blockNumber": None, "extra": 1}, BlockByHash(b"\xab" * 32)),  # type: ignore[arg-type]
    ],
)
def test_block_id__number_hash_or_object__is_read(value: Any, block: Any) -> None:
    assert parameters.block_id(value) == block


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("Latest", "hex string without 0x prefix"),
        ("0x8000000000000000", "block number larger than int64"),
        ("0x10000000000000000", "hex number > 64 bits"),
        (5, "expected a block number, tag, hash or object, got number"),
        ({}, "must specify either blockHash or blockNumber"),
        ({"blockHash": HASH, "blockNumber": "0x1"}, "cannot specify both"),
        ({"blockHash": "0x12"}, "field 'blockHash': hex string has length 2"),
        ({"blockHash": HASH, "requireCanonical": 1}, "field 'requireCanonical': expected true or false"),
        ({"blockNumber": 5}, "field 'blockNumber': expected a hex string"),
        (HASH[:-1] + "g", "invalid hex string"),
    ],
)
def test_block_id__malformed__is_refused(value: Any, problem: str) -> None:
    assert problem in problem_of(parameters.block_id, value)


def test_boolean_and_string__of_another_type__are_refused() -> None:
    assert parameters.list_of(parameters.boolean)([False, True]) == [False, True]
    assert "got number" in problem_of(parameters.boolean, 0)
    assert parameters.string("x") == "x"
    assert "got null" in problem_of(parameters.string, None)


def test_list__with_a_bad_element__names_it() -> None:
    parse = parameters.list_of(parameters.address, count_max=2)
    assert parse([ADDRESS]) == [parameters.address(ADDRESS)]
    assert problem_of(parse, [ADDRESS, 1]) == "element 1: expected a hex string, got number"
    assert problem_of(parse, [ADDRESS] * 3) == "array of 3 elements, at most 2"
    assert problem_of(parse, {}) == "expected an array, got object"


def test_object__with_known_fields__has_only_those_that_are_there() -> None:
    parse = parameters.object_of({"to": parameters.address, "value": parameters.quantity}, required=frozenset({"to"}))
    assert parse({"to": ADDRESS, "value": None, "unknown": []}) == {"to": parameters.address(ADDRESS)}
    assert problem_of(parse, {"value": "0x1"}) == "missing field 'to'"
    assert problem_of(parse, {"to": ADDRESS, "value": "1"}) == "field 'value': hex string without 0x prefix"
    assert problem_of(parse, []) == "expected an object, got array"
