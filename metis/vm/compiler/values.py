"""
What is known about a stack word without running the code: a constant, or an upper bound on its bits.

Sound by construction: every rule below holds for all operands allowed by the operands' facts. The same
rules serve the flow analysis (facts at the start of a block) and the emitter (facts inside one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from metis.vm.compiler.opcodes import Op

__all__ = ["COMPUTED", "UNKNOWN", "WORD_MASK", "Fact", "constant_fact", "fold", "join", "result_fact"]

WORD_MASK: Final = (1 << 256) - 1
SIGN_BIT: Final = 1 << 255

_STEPS: Final = (1, 8, 16, 32, 63, 128, 160, 256)
"""Bounds that a join may give: few, so that loops settle after a few rounds."""


@dataclass(frozen=True, slots=True)
class Fact:
    """
    What holds for a word.

    Attributes
    ----------
    bits : the word is below 2**bits.
    constant : its value, where known.
    is_computed : made by an opcode in sight, not handed in from somewhere unknown. Only tells where an
        unresolved jump may go.
    """

    bits: int
    constant: int | None = None
    is_computed: bool = True


UNKNOWN: Final = Fact(256, None, is_computed=False)
COMPUTED: Final = Fact(256)
_BY_BITS: Final = tuple(Fact(bits) for bits in range(257))


def constant_fact(value: int) -> Fact:
    """Return the fact of a known word."""
    return Fact(value.bit_length(), value)


def join(left: Fact, right: Fact) -> Fact:
    """Return what holds where either holds."""
    if left == right:
        return left
    bits = max(left.bits, right.bits)
    bits = next(step for step in _STEPS if bits <= step)
    if left.is_computed and right.is_computed:
        return _BY_BITS[bits]
    return Fact(bits, None, is_computed=False)


def _signed(word: int) -> int:
    return word - (1 << 256) if word & SIGN_BIT else word


def _quotient(dividend: int, divisor: int) -> int:
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _sign_extend(size: int, word: int) -> int:
    if size >= 31:
        return word
    bits = 8 * (size + 1)
    low = word & ((1 << bits) - 1)
    return low | (WORD_MASK ^ ((1 << bits) - 1)) if low >> (bits - 1) else low


def fold(opcode: int, operands: Sequence[int]) -> int | None:
    """Return the result of an opcode on known words (top of the stack first), None where it has no such rule."""
    match opcode, *operands:
        case Op.ADD, a, b:
            result = a + b
        case Op.MUL, a, b:
            result = a * b
        case Op.SUB, a, b:
            result = a - b
        case Op.DIV, a, b:
            result = a // b if b else 0
        case Op.SDIV, a, b:
            result = _quotient(_signed(a), _signed(b)) if b else 0
        case Op.MOD, a, b:
            result = a % b if b else 0
        case Op.SMOD, a, b:
            result = _signed(a) - _signed(b) * _quotient(_signed(a), _signed(b)) if b else 0
        case Op.ADDMOD, a, b, n:
            result = (a + b) % n if n else 0
        case Op.MULMOD, a, b, n:
            result = (a * b) % n if n else 0
        case Op.SIGNEXTEND, a, b:
            result = _sign_extend(a, b)
        case Op.LT, a, b:
            result = int(a < b)
        case Op.GT, a, b:
            result = int(a > b)
        case Op.SLT, a, b:
            result = int(_signed(a) < _signed(b))
        case Op.SGT, a, b:
            result = int(_signed(a) > _signed(b))
        case Op.EQ, a, b:
            result = int(a == b)
        case Op.ISZERO, a:
            result = int(a == 0)
        case Op.AND, a, b:
            result = a & b
        case Op.OR, a, b:
            result = a | b
        case Op.XOR, a, b:
            result = a ^ b
        case Op.NOT, a:
            result = ~a
        case Op.BYTE, a, b:
            result = (b >> (8 * (31 - a))) & 0xFF if a < 32 else 0
        case Op.SHL, a, b:
            result = b << a if a < 256 else 0
        case Op.SHR, a, b:
            result = b >> a if a < 256 else 0
        case Op.SAR, a, b:
            result = _signed(b) >> min(a, 255)
        case Op.CLZ, a:
            result = 256 - a.bit_length()
        case _:
            return None
    return result & WORD_MASK


_BOOLEAN: Final = frozenset({Op.LT, Op.GT, Op.SLT, Op.SGT, Op.EQ, Op.ISZERO})
_FIXED_BITS: Final[dict[int, int]] = {
    Op.BYTE: 8,
    Op.CLZ: 9,
    Op.ADDRESS: 160,
    Op.CALLER: 160,
    Op.CALLDATASIZE: 63,
    Op.RETURNDATASIZE: 63,
    Op.MSIZE: 63,
    Op.GAS: 64,
}


def result_fact(opcode: int, operands: Sequence[Fact]) -> Fact:
    """Return what holds for the one result of an open-coded opcode, from facts of its operands, top first."""
    constants = [operand.constant for operand in operands]
    if operands and None not in constants:
        folded = fold(opcode, [constant for constant in constants if constant is not None])
        if folded is not None:
            return constant_fact(folded)
    if opcode in _BOOLEAN:
        return _BY_BITS[1]
    fixed = _FIXED_BITS.get(opcode)
    if fixed is not None:
        return _BY_BITS[fixed]
    return _BY_BITS[min(256, _result_bits(opcode, operands))]


def _result_bits(opcode: int, operands: Sequence[Fact]) -> int:
    bits = [operand.bits for operand in operands]
    match opcode:
        case Op.ADD:
            return max(bits) + 1
        case Op.MUL:
            return bits[0] + bits[1]
        case Op.DIV:
            divisor = operands[1].constant
            return bits[0] if not divisor else max(0, bits[0] - divisor.bit_length() + 1)
        case Op.SDIV if max(bits) < 256:
            return bits[0]
        case Op.MOD:
            return min(bits)
        case Op.SMOD if max(bits) < 256:
            return min(bits)
        case Op.ADDMOD | Op.MULMOD:
            return bits[2]
        case Op.AND:
            return min(bits)
        case Op.OR | Op.XOR:
            return max(bits)
        case Op.SHR:
            shift = operands[0].constant
            return bits[1] if shift is None else max(0, bits[1] - shift)
        case Op.SAR if bits[1] < 256:
            shift = operands[0].constant
            return bits[1] if shift is None else max(0, bits[1] - shift)
        case Op.SHL:
            shift = operands[0].constant
            return 256 if shift is None else (0 if shift > 255 else bits[1] + shift)
        case Op.SIGNEXTEND:
            size = operands[0].constant
            return bits[1] if size is not None and size < 32 and bits[1] < 8 * (size + 1) else 256
        case _:
            return 256
