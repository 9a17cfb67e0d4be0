"""Precompiles of EIP-2537, EIP-7883, EIP-7823 and EIP-7951: results, and gas to the unit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.differential import precompiles
from tests.differential.compare import assert_same
from tests.differential.generated import check_generated
from tests.differential.oracle_client import Oracle
from tests.differential.world import PROBE_OVERHEAD_GAS, address_of

CALLED, GAS_USED = "0x0", "0x1"


def observed(answer: dict[str, Any]) -> tuple[bool, int]:
    """What the probe saw: whether the precompile succeeded, and its gas."""
    storage = answer["post"]["0x" + address_of(1).hex()]["storage"]
    return int(storage[CALLED], 16) == 2, int(storage[GAS_USED], 16) - PROBE_OVERHEAD_GAS


def assert_exact_gas(oracle: Oracle, precompile: int, calldata: bytes, *, fork: str = "Osaka") -> None:
    """The precompile works with the gas it takes, and fails with one unit less."""
    succeeded, gas = observed(assert_same(oracle, precompiles.calling("ample gas", precompile, calldata, fork=fork)))
    if not succeeded:
        assert gas == precompiles.AMPLE_GAS, "a failing precompile takes all the gas it was given"
        return
    for given, expected in ((gas, True), (gas - 1, False)):
        if given < 0:
            continue
        case = precompiles.calling(f"{given} of {gas} gas", precompile, calldata, gas=given, fork=fork)
        assert observed(assert_same(oracle, case)) == (expected, given)


@pytest.mark.parametrize("name", precompiles.BLS_INPUTS)
def test_bls12_381__named_input__equals_specification(oracle: Oracle, name: str) -> None:
    assert_same(oracle, precompiles.calling(name, *precompiles.BLS_INPUTS[name]))


@pytest.mark.parametrize(
    "name",
    ["G1 add", "G1 sum of three", "G2 add", "G2 sum of two", "pairing that does not hold", "map to G1", "map to G2"],
)
def test_bls12_381__exact_gas__is_enough(oracle: Oracle, name: str) -> None:
    assert_exact_gas(oracle, *precompiles.BLS_INPUTS[name])


def assert_same_prices(oracle: Oracle, precompile: int, counts: list[int]) -> None:
    """Compare the gas of sums of this many points, and check the ends of the discount table."""
    answer = assert_same(oracle, precompiles.multi_scalar_prices(precompile, counts))
    logged = bytes.fromhex(answer["transactions"][0]["logs"][0]["data"][2:])
    # One push more than in world.probe, instead of CALLDATASIZE.
    words = [int.from_bytes(logged[i : i + 32], "big") - PROBE_OVERHEAD_GAS - 1 for i in range(0, len(logged), 32)]
    prices = dict(zip(counts, words, strict=True))
    # SPEC: EIP-2537: the discount is a table up to 128 points, and constant from there.
    assert prices[1] == (12_000 if precompile == precompiles.G1_MSM else 22_500)
    assert prices[130] * 128 == prices[128] * 130
    assert min(words) > 0


@pytest.mark.parametrize("precompile", [precompiles.G1_MSM, precompiles.G2_MSM])
def test_multi_scalar_multiplication__some_counts_of_points__discount_equals_specification(
    oracle: Oracle, precompile: int
) -> None:
    assert_same_prices(oracle, precompile, [*range(1, 21), 32, 64, 127, 128, 129, 130])


@pytest.mark.long
@pytest.mark.parametrize("precompile", [precompiles.G1_MSM, precompiles.G2_MSM])
def test_multi_scalar_multiplication__every_count_of_points__discount_equals_specification(
    oracle: Oracle, precompile: int
) -> None:
    assert_same_prices(oracle, precompile, list(range(1, 131)))


def test_bls12_381__before_prague__addresses_hold_nothing(oracle: Oracle) -> None:
    for name in ("G1 add", "map to G2"):
        precompile, calldata = precompiles.BLS_INPUTS[name]
        answer = assert_same(oracle, precompiles.calling(name, precompile, calldata, fork="Cancun"))
        assert answer["post"]["0x" + address_of(1).hex()]["storage"].get("0x2") is None


def test_bls12_381__random_operations__equal_specification(oracle: Oracle) -> None:
    check_generated(oracle, precompiles.random_bls_case, examples=20)


@pytest.mark.parametrize("fork", ["Byzantium", "Berlin", "Prague", "Osaka"])
def test_modular_exponentiation__named_inputs__equal_specification(oracle: Oracle, fork: str) -> None:
    for name, calldata in precompiles.MODEXP_INPUTS.items():
        assert_same(oracle, precompiles.calling(name, precompiles.MODEXP, calldata, fork=fork))


@pytest.mark.parametrize("name", ["3^5 mod 7", "33-byte operands", "1024-byte modulus", "1025-byte base", "empty"])
def test_modular_exponentiation__exact_gas__is_enough(oracle: Oracle, name: str) -> None:
    assert_exact_gas(oracle, precompiles.MODEXP, precompiles.MODEXP_INPUTS[name])


@pytest.mark.parametrize("operand", ["base", "exponent", "modulus"])
def test_modular_exponentiation__operand_bound__is_1024_bytes_since_osaka(oracle: Oracle, operand: str) -> None:
    for length, fork, expected in ((1024, "Osaka", True), (1025, "Osaka", False), (1025, "Prague", True)):
        calldata = precompiles.MODEXP_INPUTS[f"{length}-byte {operand}"]
        answer = assert_same(oracle, precompiles.calling(operand, precompiles.MODEXP, calldata, fork=fork))
        assert observed(answer)[0] is expected


def test_modular_exponentiation__random_operands__equal_specification(oracle: Oracle) -> None:
    check_generated(oracle, precompiles.random_modexp_case, examples=40)


@pytest.mark.parametrize("name", precompiles.P256_INPUTS)
def test_p256__named_input__equals_specification_with_exact_gas(oracle: Oracle, name: str) -> None:
    assert_exact_gas(oracle, precompiles.P256VERIFY, precompiles.P256_INPUTS[name])
    returned = {"good", "the other s", "digest above the order"}
    answer = oracle.ask(precompiles.calling(name, precompiles.P256VERIFY, precompiles.P256_INPUTS[name]).to_request())
    assert ("0x2" in answer["post"]["0x" + address_of(1).hex()]["storage"]) == (name in returned)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_precompiles__many_random_inputs__equal_specification(oracle: Oracle) -> None:
    check_generated(oracle, precompiles.random_bls_case, examples=300)
    check_generated(oracle, precompiles.random_modexp_case, examples=1500)
