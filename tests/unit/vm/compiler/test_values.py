"""Facts about words: what is folded is what tier 0 computes, and no bound is ever too low."""

from __future__ import annotations

from random import Random

import pytest

from fuzz.programs import random_word
from metis import engine
from metis.types import Gas
from metis.vm.compiler.opcodes import Op
from metis.vm.compiler.values import COMPUTED, Fact, constant_fact, fold, join, result_fact
from tests.unit.vm.compiler.compiling import FORK, push

OPERANDS = {
    **dict.fromkeys((Op.ISZERO, Op.NOT, Op.CLZ), 1),
    **dict.fromkeys((Op.ADDMOD, Op.MULMOD), 3),
    **dict.fromkeys(
        (
            *(Op.ADD, Op.MUL, Op.SUB, Op.DIV, Op.SDIV, Op.MOD, Op.SMOD, Op.SIGNEXTEND),
            *(Op.LT, Op.GT, Op.SLT, Op.SGT, Op.EQ, Op.AND, Op.OR, Op.XOR, Op.BYTE, Op.SHL, Op.SHR, Op.SAR),
        ),
        2,
    ),
}


def by_tier_0(opcode: int, operands: list[int]) -> int:
    """What the interpreter makes of the operands, the first of them on top."""
    code = b"".join(push(operand) for operand in reversed(operands)) + bytes([opcode]) + bytes.fromhex("5f5260205ff3")
    outcome = engine.run_code(engine.ChainSpec.at_fork(FORK), code, gas_limit=Gas(100_000))
    return int.from_bytes(outcome.output, "big")


@pytest.mark.parametrize("opcode", OPERANDS, ids=lambda opcode: opcode.name)
def test_fold__random_words__gives_what_tier_0_computes(opcode: Op) -> None:
    random = Random(opcode)
    for _ in range(60):
        operands = [random_word(random) for _ in range(OPERANDS[opcode])]
        assert fold(opcode, operands) == by_tier_0(opcode, operands), operands


@pytest.mark.parametrize("opcode", OPERANDS, ids=lambda opcode: opcode.name)
def test_result_fact__operands_within_their_bounds__bounds_the_result(opcode: Op) -> None:
    random = Random(opcode)
    for _ in range(400):
        operands = [random_word(random) for _ in range(OPERANDS[opcode])]
        facts = [
            random.choice((constant_fact(word), Fact(min(256, word.bit_length() + random.randrange(70)))))
            for word in operands
        ]
        fact = result_fact(opcode, facts)
        result = fold(opcode, operands)
        assert result is not None
        assert result < 1 << fact.bits, (operands, facts)
        assert fact.constant in (None, result)


def test_join__different_constants__keeps_a_bound_of_both() -> None:
    joined = join(constant_fact(3), constant_fact(700))
    assert joined.constant is None
    assert joined.bits >= 10
    assert join(joined, COMPUTED) == COMPUTED
