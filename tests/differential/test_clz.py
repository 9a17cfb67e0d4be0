"""Count leading zeros (EIP-7939)."""

from __future__ import annotations

import pytest

from metis.types import Account
from tests.differential.assembler import assemble, push
from tests.differential.case import TransactionsCase
from tests.differential.compare import assert_same
from tests.differential.oracle_client import Oracle
from tests.differential.world import address_of, draft, signed_case

CONTRACT = address_of(1)
CLZ_GAS = 5


def running(code: bytes, *, fork: str = "Osaka", gas_limit: int = 1_000_000) -> TransactionsCase:
    return signed_case("clz", fork, [draft(CONTRACT, gas_limit=gas_limit)], {CONTRACT: Account(code=code)})


def counting(values: list[int]) -> bytes:
    """Code that counts each value's leading zeros into memory and logs them all."""
    counted = b"".join(
        assemble(push(value, 32), "CLZ", push(32 * position, 2), "MSTORE") for position, value in enumerate(values)
    )
    return counted + assemble(32 * len(values), 0, "LOG0")


@pytest.mark.parametrize("shape", ["one bit", "all lower bits", "bit and last", "top and bit"])
def test_clz__every_bit_position__equals_specification(oracle: Oracle, shape: str) -> None:
    shapes = {
        "one bit": [1 << bit for bit in range(256)],
        "all lower bits": [(1 << bit) - 1 for bit in range(257)],
        "bit and last": [1 << bit | 1 for bit in range(256)],
        "top and bit": [1 << 255 | 1 << bit for bit in range(256)],
    }
    values = shapes[shape]
    answer = assert_same(oracle, running(counting(values)))
    data = bytes.fromhex(answer["transactions"][0]["logs"][0]["data"][2:])
    counted = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
    # SPEC: EIP-7939: 256 for zero.
    assert counted == [256 - value.bit_length() for value in values]


def test_clz__gas__is_five_to_the_unit(oracle: Oracle) -> None:
    code = assemble(1, "CLZ")
    for missing, status in ((0, "success"), (1, "halt")):
        answer = assert_same(oracle, running(code, gas_limit=21_000 + 3 + CLZ_GAS - missing))
        assert answer["transactions"][0]["status"] == status


def test_clz__empty_stack__halts(oracle: Oracle) -> None:
    assert assert_same(oracle, running(assemble("CLZ")))["transactions"][0]["status"] == "halt"


@pytest.mark.parametrize("fork", ["Frontier", "Istanbul", "London", "Shanghai", "Cancun", "Prague"])
def test_clz__before_osaka__is_an_invalid_opcode(oracle: Oracle, fork: str) -> None:
    assert assert_same(oracle, running(assemble(1, "CLZ"), fork=fork))["transactions"][0]["status"] == "halt"
