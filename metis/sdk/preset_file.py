"""
Preset files: a network in TOML.

Every error names the field by its dotted path, unknown fields included, so that a typing mistake
does not become a default. The presets that come with Metis are the documentation of the format.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metis.sdk.chain_constants import BlobLimits, ChainConstants, InferenceConstants
from metis.types import Account, Address, Gas, GenesisError, TimestampS, Wei

__all__ = ["PartChoice", "Preset", "read_preset"]

_WEI_PER_COIN = 10**18
_SLOTS = ("state_store", "virtual_machine", "executor", "fee_policy")
_WORD_MAX = 2**256 - 1
_QUANTITY_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class PartChoice:
    """A part by name, with the options to make it with."""

    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Preset:
    """What a preset file says: the network's name, its parts by slot, its chain."""

    name: str
    parts: Mapping[str, PartChoice]
    chain: ChainConstants


def read_preset(text: str) -> Preset:
    """
    Read a preset file's text.

    Raises
    ------
    GenesisError : it is not TOML, or a field is bad, missing or unknown.
    """
    try:
        document = _Table("", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise GenesisError("document", f"is not TOML: {error}") from error
    name = document.text("name")
    parts_table = document.table("parts", required=False)
    parts = {slot: choice for slot in _SLOTS if (choice := _part(parts_table, slot)) is not None}
    parts_table.finish()
    chain = _chain(document.table("chain"), document.table("accounts", required=False))
    document.finish()
    return Preset(name, parts, chain)


class _Table:
    """A TOML table being read: takes fields out, and at the end refuses what is left."""

    def __init__(self, path: str, fields: Mapping[str, Any]) -> None:
        self._path = path
        self._fields = dict(fields)

    def field(self, key: str) -> str:
        """Dotted path of a field."""
        return f"{self._path}.{key}" if self._path else key

    def take(self, key: str) -> Any:
        """Take out a field, None where it is missing."""
        return self._fields.pop(key, None)

    def names(self) -> tuple[str, ...]:
        """Names of the fields that were not taken yet."""
        return tuple(self._fields)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._fields.pop(key, default)
        if value is None:
            raise GenesisError(self.field(key), "is missing")
        if not isinstance(value, str):
            raise GenesisError(self.field(key), f"must be text, not {_kind(value)}")
        return value

    def number(self, key: str, default: int | None = None, *, most: int = _QUANTITY_MAX) -> int:
        value = self._fields.pop(key, default)
        if value is None:
            raise GenesisError(self.field(key), "is missing")
        return _number(self.field(key), value, most)

    def data(self, key: str, size_bytes_max: int) -> bytes:
        value = self._fields.pop(key, "0x")
        data = _data(self.field(key), value)
        if len(data) > size_bytes_max:
            raise GenesisError(self.field(key), f"has {len(data)} bytes; at most {size_bytes_max} fit")
        return data

    def table(self, key: str, *, required: bool = True) -> _Table:
        value = self._fields.pop(key, None)
        if value is None and required:
            raise GenesisError(self.field(key), "is missing")
        if value is not None and not isinstance(value, dict):
            raise GenesisError(self.field(key), f"must be a table, not {_kind(value)}")
        return _Table(self.field(key), value or {})

    def finish(self) -> None:
        """Refuse fields that nobody asked for."""
        for key in self._fields:
            raise GenesisError(self.field(key), "is not a field of a preset")


def _part(parts: _Table, slot: str) -> PartChoice | None:
    value = parts.take(slot)
    if value is None:
        return None
    if isinstance(value, str):
        return PartChoice(value, {})
    if not isinstance(value, dict):
        raise GenesisError(parts.field(slot), f"must be a part's name or a table, not {_kind(value)}")
    options = dict(value)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise GenesisError(f"{parts.field(slot)}.name", "is missing" if name is None else "must be text")
    return PartChoice(name, options)


def _chain(table: _Table, accounts: _Table) -> ChainConstants:
    defaults = ChainConstants(chain_id=0)
    cap = table.take("transaction_gas_limit_cap")
    if cap is None:
        cap = defaults.transaction_gas_limit_cap
    elif cap == "none":
        cap = None
    else:
        cap = Gas(_number(table.field("transaction_gas_limit_cap"), cap, _QUANTITY_MAX))
    constants = ChainConstants(
        chain_id=table.number("chain_id"),
        fork=table.text("fork"),
        coin_symbol=table.text("coin_symbol", defaults.coin_symbol),
        block_time_s=table.number("block_time_s", defaults.block_time_s),
        block_gas_limit=Gas(table.number("block_gas_limit", defaults.block_gas_limit)),
        transaction_gas_limit_cap=cap,
        initial_base_fee_wei=Wei(table.number("initial_base_fee_wei", defaults.initial_base_fee_wei)),
        genesis_timestamp_s=TimestampS(table.number("genesis_timestamp_s", defaults.genesis_timestamp_s)),
        extra_data=table.data("extra_data", size_bytes_max=32),
        blob_schedule=_blob_schedule(table.table("blob_schedule", required=False)) or defaults.blob_schedule,
        accounts=dict(_account(accounts, key) for key in accounts.names()),
        inference=_inference(table.table("inference", required=False)),
    )
    table.finish()
    return constants


def _inference(table: _Table) -> InferenceConstants | None:
    if not table.names():
        return None
    sequencer = table.data("sequencer", size_bytes_max=20)
    if len(sequencer) != 20:
        raise GenesisError(table.field("sequencer"), f"is no address: {len(sequencer)} bytes instead of 20")
    defaults = InferenceConstants(Address(sequencer))
    numbers: dict[str, Any] = {
        field.name: table.number(field.name, getattr(defaults, field.name))
        for field in dataclasses.fields(InferenceConstants)
        if field.name != "sequencer"
    }
    for name in ("macs_per_gas", "moved_bytes_per_gas", "vector_macs_per_gas"):
        if numbers[name] == 0:
            raise GenesisError(table.field(name), "must be 1 or more")
    if numbers["transaction_macs_max"] > numbers["block_macs_max"]:
        raise GenesisError(table.field("transaction_macs_max"), "is above block_macs_max")
    table.finish()
    return dataclasses.replace(defaults, **numbers)


def _blob_schedule(table: _Table) -> dict[str, BlobLimits]:
    schedule = {}
    for fork in table.names():
        entry = table.table(fork)
        schedule[fork] = BlobLimits(
            target_count=entry.number("target_count"),
            max_count=entry.number("max_count"),
            base_fee_update_fraction=entry.number("base_fee_update_fraction"),
        )
        entry.finish()
    return schedule


def _account(accounts: _Table, key: str) -> tuple[Address, Account]:
    address = _data(accounts.field(key), key)
    if len(address) != 20:
        raise GenesisError(accounts.field(key), f"is no address: {len(address)} bytes instead of 20")
    value = accounts.take(key)
    if not isinstance(value, dict):
        coins = _number(accounts.field(key), value, _WORD_MAX // _WEI_PER_COIN)
        return Address(address), Account(balance_wei=Wei(coins * _WEI_PER_COIN))
    table = _Table(accounts.field(key), value)
    storage_table = table.table("storage", required=False)
    storage = {
        _number(storage_table.field(slot), slot, _WORD_MAX): storage_table.number(slot, most=_WORD_MAX)
        for slot in storage_table.names()
    }
    account = Account(
        nonce=table.number("nonce", 0),
        balance_wei=Wei(table.number("balance_wei", 0, most=_WORD_MAX)),
        code=table.data("code", size_bytes_max=24_576),
        storage=storage,
    )
    table.finish()
    return Address(address), account


def _number(field: str, value: object, most: int) -> int:
    # Text such as "0x2a" or "1000": TOML's own numbers end at 64 bits.
    if isinstance(value, str):
        try:
            value = int(value, 0)
        except ValueError as error:
            raise GenesisError(field, f"is not a number: {value!r}") from error
    if isinstance(value, bool) or not isinstance(value, int):
        raise GenesisError(field, f"must be a whole number, not {_kind(value)}")
    if not 0 <= value <= most:
        raise GenesisError(field, f"must be between 0 and {most}, not {value}")
    return value


def _data(field: str, value: object) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise GenesisError(field, 'must be text of hexadecimal digits after "0x"')
    try:
        return bytes.fromhex(value[2:])
    except ValueError as error:
        raise GenesisError(field, f"is not hexadecimal: {error}") from error


def _kind(value: object) -> str:
    return {bool: "a truth value", int: "a number", float: "a fraction", str: "text", list: "a list"}.get(
        type(value), f"a {type(value).__name__}"
    )
