"""Every open-coded opcode, compiled, gives what tier 0 gives: with operands known, unknown, and known to be small."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.programs import random_word
from metis import engine
from metis.vm.compiler.emit.division import reciprocal
from metis.vm.compiler.opcodes import Op
from tests.unit.vm.compiler.compiling import FORK, compiled, difference, push
from tests.unit.vm.compiler.test_values import OPERANDS

RETURN_TOP = bytes.fromhex("5f5260205ff3")
ENOUGH = (100_000,)


def from_calldata(index: int) -> bytes:
    return push(32 * index) + bytes([Op.CALLDATALOAD])


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("opcode", [*OPERANDS, Op.EXP], ids=lambda opcode: opcode.name)
def test_opcode__words_that_the_compiler_does_not_know__as_in_tier_0(opcode: Op, level: int) -> None:
    random = Random(opcode)
    count = OPERANDS.get(opcode, 2)
    code = b"".join(from_calldata(index) for index in reversed(range(count))) + bytes([opcode]) + RETURN_TOP
    registry = compiled(code, level=level)
    spec = engine.ChainSpec.at_fork(FORK)
    for _ in range(150):
        calldata = b"".join(random_word(random).to_bytes(32, "big") for _ in range(count))
        assert engine.compare_tiers(spec, code, calldata, ENOUGH, registry) is None, calldata.hex()


@pytest.mark.parametrize("opcode", [*OPERANDS, Op.EXP], ids=lambda opcode: opcode.name)
def test_opcode__one_operand_known_or_narrow__as_in_tier_0(opcode: Op) -> None:
    random = Random(opcode)
    count = OPERANDS.get(opcode, 2)
    for _ in range(12):
        known = random.randrange(count)
        mask = (1 << random.choice((1, 8, 63, 64, 128))) - 1
        code = b""
        for index in reversed(range(count)):
            if index == known:
                code += push(random_word(random))
            else:
                code += from_calldata(index) + push(mask) + bytes([Op.AND])
        code += bytes([opcode]) + RETURN_TOP
        calldata = b"".join(random_word(random).to_bytes(32, "big") for _ in range(count))
        assert difference(code, calldata) is None, (code.hex(), calldata.hex())


@pytest.mark.parametrize("opcode", [Op.DIV, Op.SDIV, Op.MOD, Op.SMOD], ids=lambda opcode: opcode.name)
@pytest.mark.parametrize("divisor", [3, 7, 10**6, 10**18, 2**64 - 1, 2**64 + 1, 2**127 - 1, 2**127, -1, -2, -(10**6)])
def test_division__by_a_known_word__as_in_tier_0(opcode: Op, divisor: int) -> None:
    random = Random(divisor)
    spec = engine.ChainSpec.at_fork(FORK)
    for narrowing in (b"", push(2**100 - 1) + bytes([Op.AND])):
        code = push(divisor % 2**256) + from_calldata(0) + narrowing + bytes([opcode]) + RETURN_TOP
        registry = compiled(code)
        edges = [
            sign * (factor * abs(divisor) + more) for factor in (1, 2**60) for more in (-1, 0, 1) for sign in (1, -1)
        ]
        edges += [sign * (2**bits + more) for bits in (63, 64, 126, 127, 128) for more in (-1, 0) for sign in (1, -1)]
        for word in [*edges, *(random_word(random) for _ in range(60))]:
            calldata = (word % 2**256).to_bytes(32, "big")
            assert engine.compare_tiers(spec, code, calldata, ENOUGH, registry) is None, word


@given(st.integers(2, 2**127 - 1), st.integers(0, 2**127 - 1))
def test_reciprocal__any_divisor_and_dividend__divides(divisor: int, dividend: int) -> None:
    factor, shift = reciprocal(divisor)
    assert factor < 2**128
    assert shift >= 128
    near = dividend // divisor * divisor
    for word in (dividend, near, max(0, near - 1), 2**127 - 1):
        assert word * factor >> shift == word // divisor


@pytest.mark.parametrize("opcode", [0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3A, 0x3D, 0x42, 0x46, 0x58, 0x59, 0x5A])
def test_opcode__values_of_the_environment__as_in_tier_0(opcode: int) -> None:
    assert difference(bytes([opcode]) + RETURN_TOP, b"calldata") is None


@pytest.mark.parametrize("offset", [0, 1, 4, 31, 36, 37, 68, 2**31, 2**63, 2**64 - 1, 2**255])
def test_calldataload__any_offset__pads_with_zeros_as_tier_0_does(offset: int) -> None:
    calldata = bytes(range(1, 69))
    assert difference(push(offset) + bytes([Op.CALLDATALOAD]) + RETURN_TOP, calldata) is None
    by_calldata = bytes.fromhex("604435") + bytes([Op.CALLDATALOAD]) + RETURN_TOP
    assert difference(by_calldata, calldata + offset.to_bytes(32, "big")) is None


@pytest.mark.parametrize("opcode", [Op.MLOAD, Op.MSTORE, Op.MSTORE8], ids=lambda opcode: opcode.name)
@pytest.mark.parametrize("offset", [0, 31, 1000, 5000, 2**20, 2**31 - 1, 2**32, 2**64 - 1, 2**256 - 1])
def test_memory__any_offset_and_every_little_gas__as_in_tier_0(opcode: Op, offset: int) -> None:
    code = push(7) + push(offset) + bytes([opcode, Op.MSIZE]) + RETURN_TOP
    gas_limits = [*range(140), 1000, 1300, 30_000, 3_000_000]
    assert difference(code, gas_limits=gas_limits) is None
    by_calldata = push(7) + bytes.fromhex("5f35") + bytes([opcode, Op.MSIZE]) + RETURN_TOP
    assert difference(by_calldata, offset.to_bytes(32, "big"), gas_limits) is None


@pytest.mark.parametrize("size", [0, 1, 32, 33, 300, 2**31, 2**64, 2**256 - 1])
@pytest.mark.parametrize("offset", [0, 40, 2**31, 2**256 - 1])
def test_keccak256__any_range_and_every_little_gas__as_in_tier_0(size: int, offset: int) -> None:
    gas_limits = [*range(160), 10_000, 1_000_000]
    code = push(size) + push(offset) + bytes([Op.KECCAK256]) + RETURN_TOP
    assert difference(code, gas_limits=gas_limits) is None
    by_calldata = from_calldata(1) + from_calldata(0) + bytes([Op.KECCAK256]) + RETURN_TOP
    assert difference(by_calldata, offset.to_bytes(32, "big") + size.to_bytes(32, "big"), gas_limits) is None
