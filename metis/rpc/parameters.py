"""
Parameters of calls: from JSON values to typed values, strict where geth is strict.

A parser takes one decoded JSON value and returns the typed value, or raises :class:`BadValue`
saying what is wrong; the registry adds position and name. Parsers compose: :func:`list_of`,
:func:`object_of`. Source: go-ethereum ``common/hexutil`` and ``rpc/types.go``, EIP-1474, EIP-1898.

Accepted as geth does: prefix ``0x`` or ``0X``, hexadecimal digits in either case, the empty string
for zero or no bytes. Refused as geth does: leading zeros and plain numbers in quantities, odd
digits and missing prefixes in data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from metis.types import Address, BlockNumber, Hash32

__all__ = [
    "BadValue",
    "BlockByHash",
    "BlockId",
    "Parser",
    "address",
    "any_json",
    "block_id",
    "block_number_or_tag",
    "boolean",
    "data",
    "data_of",
    "hash32",
    "list_of",
    "number_or_quantity",
    "object_of",
    "quantity",
    "quantity_of",
    "storage_slot",
    "string",
]

T = TypeVar("T")
Parser = Callable[[Any], T]

ADDRESS_SIZE_BYTES = 20
HASH_SIZE_BYTES = 32
BLOCK_NUMBER_MAX = 2**63 - 1
BLOCK_TAGS: Final = frozenset({"earliest", "latest", "pending", "safe", "finalized"})

_QUANTITY = re.compile(r"0[xX](?:0|[1-9a-fA-F][0-9a-fA-F]*)")
_JSON_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}


class BadValue(Exception):
    """A JSON value that a parser does not take; the message says why. Never leaves this package."""


@dataclass(frozen=True, slots=True)
class BlockByHash:
    """A block by its hash (EIP-1898). ``require_canonical`` refuses one outside the canonical chain."""

    hash: Hash32
    require_canonical: bool = False


BlockId = BlockNumber | str | BlockByHash
"""A height, one of :data:`BLOCK_TAGS`, or a hash."""


def _json_name(value: Any) -> str:
    """Name the JSON type of a value, for messages."""
    return "null" if value is None else _JSON_NAMES.get(type(value), type(value).__name__)


def _expect_string(value: Any) -> str:
    if type(value) is not str:
        raise BadValue(f"expected a hex string, got {_json_name(value)}")
    return value


def _quantity_problem(text: str) -> str:
    """Name the rule that a quantity breaks, in geth's words."""
    if text[:2] not in ("0x", "0X"):
        return "hex string without 0x prefix"
    if len(text) == 2:
        return 'hex string "0x"'
    if text[2] == "0" and re.fullmatch("[0-9a-fA-F]+", text[2:]):
        return "hex number with leading zero digits"
    return "invalid hex string"


def quantity_of(bits_max: int) -> Parser[int]:
    """Return a parser of hexadecimal quantities below 2**bits_max."""
    text_size_max = 2 + bits_max // 4

    def parse_quantity(value: Any) -> int:
        text = _expect_string(value)
        if not text:
            return 0
        if not _QUANTITY.fullmatch(text):
            raise BadValue(_quantity_problem(text))
        if len(text) > text_size_max:
            raise BadValue(f"hex number > {bits_max} bits")
        return int(text, 16)

    return parse_quantity


quantity: Final = quantity_of(256)
"""A quantity in [0, 2**256): wei, storage words."""


def number_or_quantity(value: Any) -> int:
    """
    Read a quantity, or a plain JSON number from 0.

    For the anvil and hardhat methods only, whose clients send both; ``eth_`` methods follow geth.
    """
    if type(value) is int:
        if value < 0:
            raise BadValue("number is negative")
        return value
    return quantity(value)


def data(value: Any) -> bytes:
    """Read bytes of any length."""
    text = _expect_string(value)
    if not text:
        return b""
    if text[:2] not in ("0x", "0X"):
        raise BadValue("hex string without 0x prefix")
    if len(text) % 2:
        raise BadValue("hex string of odd length")
    try:
        decoded = bytes.fromhex(text[2:])
    except ValueError:
        raise BadValue("invalid hex string") from None
    # fromhex skips white space between bytes, which is no hexadecimal digit here.
    if len(decoded) * 2 != len(text) - 2:
        raise BadValue("invalid hex string")
    return decoded


def data_of(size_bytes: int, noun: str) -> Parser[bytes]:
    """Return a parser of exactly ``size_bytes`` bytes; ``noun`` says in messages what they are."""
    size_digits = size_bytes * 2

    text_size = 2 + size_digits

    def parse_fixed(value: Any) -> bytes:
        if type(value) is str and len(value) == text_size and value.startswith("0x"):
            # The usual form, without the questions that only a refusal has to answer.
            try:
                decoded = bytes.fromhex(value[2:])
            except ValueError:
                decoded = b""
            if len(decoded) == size_bytes:
                return decoded
        decoded = data(value)
        if len(decoded) != size_bytes:
            raise BadValue(f"hex string has length {len(decoded) * 2}, want {size_digits} for {noun}")
        return decoded

    return parse_fixed


address: Final = cast("Parser[Address]", data_of(ADDRESS_SIZE_BYTES, "an address"))
"""An address; checksum capitals (EIP-55) are not checked, as in geth."""

hash32: Final = cast("Parser[Hash32]", data_of(HASH_SIZE_BYTES, "a hash"))
"""A hash of 32 bytes."""


def storage_slot(value: Any) -> int:
    """Read a storage key: up to 32 bytes of hex, with or without prefix and leading zeros, as in geth."""
    text = _expect_string(value)
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    if len(digits) > HASH_SIZE_BYTES * 2:
        raise BadValue(f'storage key too long (want at most 32 bytes): "{text[:80]}"')
    if not re.fullmatch("[0-9a-fA-F]*", digits):
        raise BadValue(f'invalid hex in storage key: "{text}"')
    return int(digits, 16) if digits else 0


def boolean(value: Any) -> bool:
    """Read true or false."""
    if type(value) is not bool:
        raise BadValue(f"expected true or false, got {_json_name(value)}")
    return value


def string(value: Any) -> str:
    """Read any string."""
    if type(value) is not str:
        raise BadValue(f"expected a string, got {_json_name(value)}")
    return value


def any_json(value: Any) -> Any:
    """Take any JSON value as it is."""
    return value


def block_number_or_tag(value: Any) -> BlockNumber | str:
    """Read a height or a tag, where a hash makes no sense (eth_getBlockByNumber)."""
    if type(value) is str and value in BLOCK_TAGS:
        return value
    number = _block_quantity(value)
    if number > BLOCK_NUMBER_MAX:
        raise BadValue("block number larger than int64")
    return BlockNumber(number)


_block_quantity = quantity_of(64)


def block_id(value: Any) -> BlockId:
    """
    Read the block a state query is about: a tag, a height, a hash, or an EIP-1898 object.

    ``{"blockHash": …, "requireCanonical": …}`` or ``{"blockNumber": …}``, where the number may be a tag.
    """
    if type(value) is str:
        if value in BLOCK_TAGS:
            return value
        if len(value) == 2 + HASH_SIZE_BYTES * 2:
            return BlockByHash(hash32(value))
        return block_number_or_tag(value)
    if type(value) is not dict:
        raise BadValue(f"expected a block number, tag, hash or object, got {_json_name(value)}")
    number, block_hash = value.get("blockNumber"), value.get("blockHash")
    if number is not None and block_hash is not None:
        raise BadValue("cannot specify both blockHash and blockNumber, choose one or the other")
    if block_hash is not None:
        require_canonical = value.get("requireCanonical")
        return BlockByHash(
            _in_field("blockHash", hash32, block_hash),
            require_canonical is not None and _in_field("requireCanonical", boolean, require_canonical),
        )
    if number is not None:
        return _in_field("blockNumber", block_number_or_tag, number)
    raise BadValue("must specify either blockHash or blockNumber")


def _in_field(name: str, parse: Parser[T], value: Any) -> T:
    """Parse a member of an object, naming it in the problem."""
    try:
        return parse(value)
    except BadValue as problem:
        raise BadValue(f"field {name!r}: {problem}") from None


def list_of(parse: Parser[T], count_max: int | None = None) -> Parser[list[T]]:
    """Return a parser of arrays; a problem names the element."""

    def parse_list(value: Any) -> list[T]:
        if type(value) is not list:
            raise BadValue(f"expected an array, got {_json_name(value)}")
        if count_max is not None and len(value) > count_max:
            raise BadValue(f"array of {len(value)} elements, at most {count_max}")
        parsed: list[T] = []
        for index, element in enumerate(value):
            try:
                parsed.append(parse(element))
            except BadValue as problem:
                raise BadValue(f"element {index}: {problem}") from None
        return parsed

    return parse_list


def object_of(fields: Mapping[str, Parser[Any]], required: frozenset[str] = frozenset()) -> Parser[dict[str, Any]]:
    """
    Return a parser of objects with known fields.

    Null fields are missing fields, and unknown fields are ignored, as in geth. Only fields that
    are present are in the result.
    """

    def parse_object(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise BadValue(f"expected an object, got {_json_name(value)}")
        parsed = {
            name: _in_field(name, fields[name], member)
            for name, member in value.items()
            if member is not None and name in fields
        }
        missing = required - parsed.keys()
        if missing:
            raise BadValue(f"missing field {min(missing)!r}")
        return parsed

    return parse_object
