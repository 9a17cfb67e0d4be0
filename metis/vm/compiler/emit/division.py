"""
DIV, SDIV, MOD, SMOD, ADDMOD, MULMOD.

LLVM's own 256-bit division is a loop over bits, so there are three ways. A divisor that is known becomes a
multiplication where the dividend has up to 127 bits, as a fixed-point product has. Else the machine's 64-bit
division is tried. What does not fit is the engine's.
"""

from __future__ import annotations

from metis.vm.compiler.emit.arithmetic import folded, narrow_width, power_of_two
from metis.vm.compiler.emit.machine import Machine, Word, constant_word
from metis.vm.compiler.emit.writer import LIKELY
from metis.vm.compiler.opcodes import Op
from metis.vm.compiler.values import Fact, result_fact

__all__ = ["divide", "modular", "reciprocal"]

_HELPERS = {Op.DIV: "udiv", Op.MOD: "umod", Op.SDIV: "sdiv", Op.SMOD: "smod", Op.ADDMOD: "addmod", Op.MULMOD: "mulmod"}

_LIMB_MASK = (1 << 64) - 1

_DIVIDEND_BITS = 127
"""Of a dividend that is divided by multiplication."""


def divide(machine: Machine, opcode: int) -> None:
    """Emit DIV, SDIV, MOD or SMOD."""
    if folded(machine, opcode, 2):
        return
    left, right = machine.peek(0), machine.peek(1)
    fact = result_fact(opcode, (left.fact, right.fact))
    machine.rewrite(2, _divide(machine, opcode, left, right, fact))


def reciprocal(divisor: int) -> tuple[int, int]:
    """
    Return m and s such that x // divisor = x * m >> s for all x below 2**127.

    SPEC: Granlund and Montgomery, Division by Invariant Integers using Multiplication (1994), theorem 4.2, with
    N = 127; m has at most 128 bits.
    """
    shift = _DIVIDEND_BITS + (divisor - 1).bit_length()
    return -(-(1 << shift) // divisor), shift


def _divide(machine: Machine, opcode: int, left: Word, right: Word, fact: Fact) -> Word:
    writer = machine.writer
    if right.fact.constant == 0:
        return constant_word(0)
    is_signed = opcode in (Op.SDIV, Op.SMOD)
    if is_signed and max(left.fact.bits, right.fact.bits) < 256:
        is_signed = False
        opcode = Op.DIV if opcode == Op.SDIV else Op.MOD
    shift = power_of_two(right.fact)
    if shift is not None and not is_signed:
        width = left.width
        if opcode == Op.DIV:
            if shift >= width:
                return constant_word(0)
            return Word(writer.let(f"lshr i{width} {left.text}, {shift}"), width, fact)
        mask = (1 << shift) - 1
        if shift >= width:
            return left
        return Word(writer.let(f"and i{width} {left.text}, {mask}"), width, fact)
    if right.fact.constant is not None and max(left.fact.bits, right.fact.bits) > 64:
        return _divide_known(machine, opcode, left, right, fact)
    if is_signed:
        return _divide_signed(machine, opcode, left, right, fact)
    return _divide_unsigned(machine, opcode, left, right, fact)


def _divide_known(machine: Machine, opcode: int, left: Word, right: Word, fact: Fact) -> Word:
    """Divide by a known word: a multiplication where the dividend is short enough, else the engine."""
    writer = machine.writer
    is_signed = opcode in (Op.SDIV, Op.SMOD)
    divisor = right.fact.constant or 0
    is_negative = is_signed and divisor >> 255 == 1
    if is_negative:
        divisor = (1 << 256) - divisor
    if divisor < 2 or divisor >> _DIVIDEND_BITS:
        return _call(machine, opcode, (left, right), fact)
    magnitude, sign = machine.wide(left), ""
    if is_signed:
        sign = writer.let(f"ashr i256 {magnitude}, 255")
        magnitude = _negated_if(machine, magnitude, sign)
    elif left.fact.bits <= _DIVIDEND_BITS:
        width = narrow_width(fact.bits)
        quick = _quick_result(machine, opcode, magnitude, divisor)
        return Word(writer.let(f"trunc i128 {quick} to i64") if width < 128 else quick, width, fact)
    fits = writer.let(f"icmp ult i256 {magnitude}, {1 << _DIVIDEND_BITS}")
    quick, slow, done = writer.new_label(), writer.new_label(), writer.new_label()
    writer.line(f"br i1 {fits}, label %{quick}, label %{slow}, {LIKELY}")
    writer.begin(quick)
    result = writer.let(f"zext i128 {_quick_result(machine, opcode, magnitude, divisor)} to i256")
    if is_signed:
        if is_negative and opcode == Op.SDIV:
            sign = writer.let(f"xor i256 {sign}, -1")
        result = _negated_if(machine, result, sign)
    writer.line(f"br label %{done}")
    return _or_by_engine(machine, opcode, (left, right), fact, (result, quick), (slow, done))


def _negated_if(machine: Machine, word: str, mask: str) -> str:
    """Return a word negated where the mask is all ones, and as it is where it is 0."""
    writer = machine.writer
    return writer.let(f"sub i256 {writer.let(f'xor i256 {word}, {mask}')}, {mask}")


def _quick_result(machine: Machine, opcode: int, dividend: str, divisor: int) -> str:
    """Return quotient or remainder of a dividend below 2**127, as an i128."""
    writer = machine.writer
    factor, shift = reciprocal(divisor)
    whole = writer.let(f"trunc i256 {dividend} to i128")
    low = writer.let(f"and i128 {whole}, {_LIMB_MASK}")
    high = writer.let(f"lshr i128 {whole}, 64")
    # The upper half of the product of two numbers of two limbs each.
    products = [
        writer.let(f"mul nuw i128 {limb}, {part}")
        for limb in (low, high)
        for part in (factor & _LIMB_MASK, factor >> 64)
    ]
    carried = [writer.let(f"lshr i128 {product}, 64") for product in products[:3]]
    middle = writer.let(f"add nuw i128 {carried[0]}, {writer.let(f'and i128 {products[1]}, {_LIMB_MASK}')}")
    middle = writer.let(f"add nuw i128 {middle}, {writer.let(f'and i128 {products[2]}, {_LIMB_MASK}')}")
    upper = writer.let(f"add nuw i128 {products[3]}, {carried[1]}")
    upper = writer.let(f"add nuw i128 {upper}, {carried[2]}")
    upper = writer.let(f"add nuw i128 {upper}, {writer.let(f'lshr i128 {middle}, 64')}")
    quotient = writer.let(f"lshr i128 {upper}, {shift - 128}") if shift > 128 else upper
    if opcode in (Op.DIV, Op.SDIV):
        return quotient
    return writer.let(f"sub nuw i128 {whole}, {writer.let(f'mul nuw i128 {quotient}, {divisor}')}")


def _divide_unsigned(machine: Machine, opcode: int, left: Word, right: Word, fact: Fact) -> Word:
    writer = machine.writer
    name = "udiv" if opcode == Op.DIV else "urem"
    divisor = right.fact.constant
    narrow = max(left.fact.bits, right.fact.bits) <= 64
    if narrow and divisor:
        return Word(writer.let(f"{name} i64 {machine.at(left, 64)}, {divisor}"), 64, fact)
    quick, slow, done = writer.new_label(), writer.new_label(), writer.new_label()
    checks = []
    if not narrow:
        both = machine.wide(left)
        if right.fact.bits > 64:
            both = writer.let(f"or i256 {both}, {machine.wide(right)}")
        checks.append(writer.let(f"icmp ult i256 {both}, {1 << 64}"))
    if divisor is None:
        checks.append(writer.let(f"icmp ne i64 {machine.at(right, 64)}, 0"))
    condition = checks[0] if len(checks) == 1 else writer.let(f"and i1 {checks[0]}, {checks[1]}")
    small_left, small_right = machine.at(left, 64), machine.at(right, 64)
    writer.line(f"br i1 {condition}, label %{quick}, label %{slow}, {LIKELY}")
    writer.begin(quick)
    result = writer.let(f"{name} i64 {small_left}, {small_right}")
    quick_wide = writer.let(f"zext i64 {result} to i256") if not narrow else result
    quick_end = writer.label
    writer.line(f"br label %{done}")
    if narrow:
        with writer.rarely(slow):
            writer.line(f"br label %{done}")
        writer.begin(done)
        return Word(writer.let(f"phi i64 [ {quick_wide}, %{quick_end} ], [ 0, %{slow} ]"), 64, fact)
    return _or_by_engine(machine, opcode, (left, right), fact, (quick_wide, quick_end), (slow, done))


def _divide_signed(machine: Machine, opcode: int, left: Word, right: Word, fact: Fact) -> Word:
    writer = machine.writer
    quick, slow, done = writer.new_label(), writer.new_label(), writer.new_label()
    small_left, small_right = machine.at(left, 64), machine.at(right, 64)
    fits_left = _fits_signed(machine, machine.wide(left), small_left)
    fits_right = _fits_signed(machine, machine.wide(right), small_right)
    # 0 and -1 are what the machine's division cannot do; both go the slow way.
    usual = writer.let(f"icmp ugt i64 {writer.let(f'add i64 {small_right}, 1')}, 1")
    fits = writer.let(f"and i1 {writer.let(f'and i1 {fits_left}, {fits_right}')}, {usual}")
    writer.line(f"br i1 {fits}, label %{quick}, label %{slow}, {LIKELY}")
    writer.begin(quick)
    name = "sdiv" if opcode == Op.SDIV else "srem"
    result = writer.let(f"{name} i64 {small_left}, {small_right}")
    quick_wide = writer.let(f"sext i64 {result} to i256")
    writer.line(f"br label %{done}")
    return _or_by_engine(machine, opcode, (left, right), fact, (quick_wide, quick), (slow, done))


def _fits_signed(machine: Machine, wide: str, small: str) -> str:
    writer = machine.writer
    return writer.let(f"icmp eq i256 {writer.let(f'sext i64 {small} to i256')}, {wide}")


def _or_by_engine(
    machine: Machine,
    opcode: int,
    operands: tuple[Word, ...],
    fact: Fact,
    quick: tuple[str, str],
    labels: tuple[str, str],
) -> Word:
    """
    Let the engine do what the quick way cannot, and bring the two together.

    Parameters
    ----------
    quick : the quick result, an i256, and the block that it comes from. labels : of the slow way, and of what follows.
    """
    writer, (slow, done) = machine.writer, labels
    with writer.rarely(slow):
        slow_result = _call(machine, opcode, operands, fact)
        slow_end = writer.label
        writer.line(f"br label %{done}")
    writer.begin(done)
    text = writer.let(f"phi i256 [ {quick[0]}, %{quick[1]} ], [ {slow_result.text}, %{slow_end} ]")
    return Word(text, 256, fact)


def _call(machine: Machine, opcode: int, operands: tuple[Word, ...], fact: Fact) -> Word:
    """Let the engine do it: operands and result go through the function's own scratch words."""
    writer = machine.writer
    for index, operand in enumerate(operands):
        writer.line(f"store i256 {machine.wide(operand)}, ptr %scratch{index}, align 8")
    helper = writer.load_field(_HELPERS[Op(opcode)], "ptr", constant=True)
    arguments = ", ".join(["ptr %scratch0", *(f"ptr %scratch{index}" for index in range(len(operands)))])
    writer.line(f"call void {helper}({arguments}) #1")
    return Word(writer.let("load i256, ptr %scratch0, align 8"), 256, fact)


def modular(machine: Machine, opcode: int) -> None:
    """Emit ADDMOD or MULMOD."""
    if folded(machine, opcode, 3):
        return
    operands = (machine.peek(0), machine.peek(1), machine.peek(2))
    fact = result_fact(opcode, [operand.fact for operand in operands])
    machine.rewrite(3, _call(machine, opcode, operands, fact))
