"""
What state tests and blockchain tests have in common: a file of tests by name, and what they begin with: accounts, chain
id, blob limits.

Source: https://eest.ethereum.org, "Common Types".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from metis.types import Account, FixtureError, Wei
from metis.vm.fields import MalformedField, address_field, bytes_field, object_field, quantity_field

__all__ = ["BlobSchedule", "alloc_of", "blob_schedules_of", "chain_id_of", "tests_of"]

_Test = TypeVar("_Test")


@dataclass(frozen=True, slots=True)
class BlobSchedule:
    """A fork's blob limits (EIP-7840), where a test brings its own. Counts are blobs per block."""

    target_count: int
    max_count: int
    base_fee_update_fraction: int


def tests_of(
    path: str, content: bytes, test_of: Callable[[str, str, Mapping[str, Any]], _Test]
) -> Iterator[_Test | FixtureError]:
    """
    Read one file's tests, in the file's order.

    Parameters
    ----------
    test_of : reads one test, of its file's path, its name and its fields; raises MalformedField.

    Raises
    ------
    FixtureError : the whole file is not JSON, or not an object of tests.
    """
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise FixtureError(path, "", f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise FixtureError(path, "", "not an object of tests by name")
    for name, body in document.items():
        try:
            if not isinstance(body, dict):
                raise MalformedField("test", "not an object")
            yield test_of(path, name, body)
        except MalformedField as error:
            yield FixtureError(path, name, str(error))


def alloc_of(pre: Mapping[str, Any], inside: str = "pre") -> dict[bytes, Account]:
    """Accounts by address, as every format of these tests writes them."""
    alloc: dict[bytes, Account] = {}
    for key in pre:
        body = object_field(pre, key, inside=inside)
        where = f"{inside}.{key}"
        storage = object_field(body, "storage", inside=where) if "storage" in body else {}
        alloc[address_field({"address": key}, "address", inside=inside)] = Account(
            nonce=quantity_field(body, "nonce", default=0, bits=64, inside=where),
            balance_wei=Wei(quantity_field(body, "balance", default=0, inside=where)),
            code=bytes_field(body, "code", default=b"", inside=where),
            storage={
                quantity_field({"slot": slot}, "slot", inside=where): quantity_field(storage, slot, inside=where)
                for slot in storage
            },
        )
    return alloc


def chain_id_of(config: Mapping[str, Any]) -> int:
    """1 unless the test says otherwise."""
    return quantity_field(config, "chainid", default=1, bits=64, inside="config")


def blob_schedules_of(config: Mapping[str, Any]) -> dict[str, BlobSchedule]:
    """Fork name → blob limits, where the test brings its own."""
    if "blobSchedule" not in config:
        return {}
    schedules = object_field(config, "blobSchedule", inside="config")
    where = "config.blobSchedule"
    return {
        fork: BlobSchedule(
            target_count=quantity_field(entry, "target", bits=32, inside=where),
            max_count=quantity_field(entry, "max", bits=32, inside=where),
            base_fee_update_fraction=quantity_field(entry, "baseFeeUpdateFraction", bits=64, inside=where),
        )
        for fork in schedules
        for entry in [object_field(schedules, fork, inside=where)]
    }
