"""ADD, MUL, SUB, EXP, SIGNEXTEND, as narrow as the bounds of their operands allow."""

from __future__ import annotations

from metis.vm.compiler.emit.machine import Machine, Word, constant_word
from metis.vm.compiler.opcodes import Op
from metis.vm.compiler.values import Fact, fold, result_fact

__all__ = ["exp", "folded", "narrow_width", "power_of_two", "ring", "sign_extend"]

_WIDTHS = (64, 128, 256)
_OFFSET_MAX = 1 << 32


def narrow_width(bits: int) -> int:
    """Return the narrowest width that arithmetic is done in for so many bits."""
    return next(width for width in _WIDTHS if bits <= width)


def power_of_two(fact: Fact) -> int | None:
    """Return k where a word is known to be 2**k."""
    value = fact.constant
    if value is None or value == 0 or value & (value - 1):
        return None
    return value.bit_length() - 1


def folded(machine: Machine, opcode: int, count: int) -> bool:
    """Replace an opcode on known words by its result; False where a word is not known."""
    operands = [machine.peek(depth).fact.constant for depth in range(count)]
    known = [operand for operand in operands if operand is not None]
    if len(known) < count:
        return False
    result = fold(opcode, known)
    if result is None:
        return False
    machine.rewrite(count, constant_word(result))
    return True


def ring(machine: Machine, opcode: int) -> None:
    """Emit ADD, MUL or SUB."""
    if folded(machine, opcode, 2):
        return
    left, right = machine.peek(0), machine.peek(1)
    fact = result_fact(opcode, (left.fact, right.fact))
    machine.rewrite(2, _ring(machine, opcode, left, right, fact))


def _ring(machine: Machine, opcode: int, left: Word, right: Word, fact: Fact) -> Word:
    writer = machine.writer
    if opcode == Op.ADD:
        for word, other in ((left, right), (right, left)):
            if other.fact.constant == 0:
                return word
    if opcode == Op.SUB:
        if right.fact.constant == 0:
            return left
        width = 256
    elif opcode == Op.MUL:
        for word, other in ((left, right), (right, left)):
            if other.fact.constant == 1:
                return word
            if other.fact.constant == 0:
                return constant_word(0)
            shift = power_of_two(other.fact)
            if shift is not None:
                width = narrow_width(min(256, word.fact.bits + shift))
                return Word(writer.let(f"shl i{width} {machine.at(word, width)}, {shift}"), width, fact)
        width = narrow_width(fact.bits)
    else:
        width = narrow_width(fact.bits)
    name = {Op.ADD: "add", Op.SUB: "sub", Op.MUL: "mul"}[Op(opcode)]
    flags = " nuw" if opcode != Op.SUB and fact.bits <= width and fact.bits < 256 else ""
    text = writer.let(f"{name}{flags} i{width} {machine.at(left, width)}, {machine.at(right, width)}")
    word = Word(text, width, fact)
    if opcode == Op.ADD:
        for base, other in ((left, right), (right, left)):
            offset = other.fact.constant
            if offset is not None and offset < _OFFSET_MAX and base.offset + offset < _OFFSET_MAX:
                word.root, word.offset = base.root or base, base.offset + offset
                break
    return word


def exp(machine: Machine) -> None:
    """Emit EXP: its gas depends on the exponent's size in bytes."""
    writer = machine.writer
    base, exponent = machine.peek(0), machine.peek(1)
    per_byte = writer.load_field("exp_byte_gas", constant=True)
    if exponent.fact.constant is not None:
        size = (exponent.fact.bits + 7) // 8
        cost = writer.let(f"mul i64 {per_byte}, {size}") if size else None
    else:
        zeros = writer.let(f"call i256 @llvm.ctlz.i256(i256 {machine.wide(exponent)}, i1 false)")
        bits = writer.let(f"sub i64 263, {writer.let(f'trunc i256 {zeros} to i64')}")
        cost = writer.let(f"mul i64 {per_byte}, {writer.let(f'lshr i64 {bits}, 3')}")
    if cost is not None:
        machine.charge(cost)
    machine.rewrite(2, _power(machine, base, exponent))


def _power(machine: Machine, base: Word, exponent: Word) -> Word:
    writer = machine.writer
    if base.fact.constant is not None and exponent.fact.constant is not None:
        return constant_word(pow(base.fact.constant, exponent.fact.constant, 1 << 256))
    step = power_of_two(base.fact)
    if step:
        # 2**(step * exponent), 0 from 2**256 on.
        wide = machine.wide(exponent)
        fits = writer.let(f"icmp ule i256 {wide}, {255 // step}")
        amount = writer.let(f"mul i256 {wide}, {step}")
        power = writer.let(f"shl i256 1, {amount}")
        return Word(writer.let(f"select i1 {fits}, i256 {power}, i256 0"), 256, Fact(256))
    for index, operand in enumerate((base, exponent)):
        writer.line(f"store i256 {machine.wide(operand)}, ptr %scratch{index}, align 8")
    helper = writer.load_field("exp", "ptr", constant=True)
    writer.line(f"call void {helper}(ptr %scratch0, ptr %scratch0, ptr %scratch1) #1")
    return Word(writer.let("load i256, ptr %scratch0, align 8"), 256, Fact(256))


def sign_extend(machine: Machine) -> None:
    """Emit SIGNEXTEND."""
    if folded(machine, Op.SIGNEXTEND, 2):
        return
    writer = machine.writer
    size, word = machine.peek(0), machine.peek(1)
    fact = result_fact(Op.SIGNEXTEND, (size.fact, word.fact))
    if size.fact.constant is not None:
        if size.fact.constant >= 31 or word.fact.bits < 8 * (size.fact.constant + 1):
            machine.rewrite(2, word)
            return
        bits = 8 * (size.fact.constant + 1)
        wide = machine.wide(word)
        low = writer.let(f"trunc i256 {wide} to i{bits}")
        machine.rewrite(2, Word(writer.let(f"sext i{bits} {low} to i256"), 256, fact))
        return
    # Shift the sign to the top and back; sizes of 31 and more shift by nothing.
    wide_size = machine.wide(size)
    is_less = writer.let(f"icmp ult i256 {wide_size}, 31")
    used = writer.let(f"select i1 {is_less}, i256 {wide_size}, i256 31")
    amount = writer.let(f"sub i256 248, {writer.let(f'shl i256 {used}, 3')}")
    up = writer.let(f"shl i256 {machine.wide(word)}, {amount}")
    machine.rewrite(2, Word(writer.let(f"ashr i256 {up}, {amount}"), 256, fact))
