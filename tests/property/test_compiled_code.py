"""A bounded slice of the fuzzing that `python -m fuzz.vm` does without end."""

from __future__ import annotations

from random import Random

import pytest

from fuzz.minimise import minimise
from fuzz.vm_case import Case, random_case, run_case

GAS_LIMITS = 80


@pytest.mark.parametrize("seed", range(24))
def test_compiled_code__random_contracts_under_many_gas_limits__as_in_tier_0(seed: int) -> None:
    random = Random(seed)
    case = random_case(random)
    comparison = run_case(case, GAS_LIMITS, random)
    assert comparison.difference is None, (seed, case)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_compiled_code__optimised__as_in_tier_0() -> None:
    for seed in range(100_000, 100_100):
        random = Random(seed)
        case = random_case(random)
        assert run_case(case, GAS_LIMITS, random, level=2).difference is None, (seed, case)


def test_minimise__a_case_that_fails_for_one_byte__keeps_little_else() -> None:
    case = Case("Osaka", bytes(range(0x60)) + b"\x20" + bytes(30), (b"\x00" * 50,), b"1234")
    small = minimise(case, lambda smaller: 0x20 in smaller.code)
    assert small.callees == ()
    assert small.calldata == b""
    assert set(small.code) <= {0x20, 0x5B}
