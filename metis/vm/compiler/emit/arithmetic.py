"""
ADD, MUL, SUB, DIV, SDIV, MOD, SMOD, ADDMOD, MULMOD, EXP, SIGNEXTEND.

Additions and multiplications are as narrow as the bounds of their operands allow. Division tries the
machine's 64-bit division first and calls the engine for what does not fit: LLVM's own 256-bit division is
a loop over bits.
"""

from __future__ import annotations

from metis.vm.compiler.emit.machine import Machine, Word, constant_word
from metis.vm.compiler.emit.writer import LIKELY
from metis.vm.compiler.opcodes import Op
from metis.vm.compiler.values import Fact, fold, result_fact

__all__ = ["binary", "exp", "modular", "narrow_width", "power_of_two", "sign_extend"]

_WIDTHS = (64, 128, 256)
_HELPERS = {Op.DIV: "udiv", Op.MOD: "umod", Op.SDIV: "sdiv", Op.SMOD: "smod", Op.ADDMOD: "addmod", Op.MULMOD: "mulmod"}
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


def binary(machine: Machine, opcode: int) -> None:
    """Emit an opcode of two operands and one result."""
    if folded(machine, opcode, 2):
        return
    left, right = machine.peek(0), machine.peek(1)
    fact = result_fact(opcode, (left.fact, right.fact))
    if opcode in (Op.ADD, Op.MUL, Op.SUB):
        word = _ring(machine, opcode, left, right, fact)
    else:
        word = _divide(machine, opcode, left, right, fact)
    machine.rewrite(2, word)


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
    if is_signed:
        return _divide_signed(machine, opcode, left, right, fact)
    return _divide_unsigned(machine, opcode, left, right, fact)


def _divide_unsigned(machine: Machine, opcode: int, left: Word, right: Word, fact: Fact) -> Word:
    writer = machine.writer
    name = "udiv" if opcode == Op.DIV else "urem"
    divisor = right.fact.constant
    narrow = max(left.fact.bits, right.fact.bits) <= 64
    if narrow and divisor:
        return Word(writer.let(f"{name} i64 {machine.at(left, 64)}, {divisor}"), 64, fact)
    if divisor is not None and divisor >> 64:
        return _call(machine, opcode, (left, right), fact)
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
    with writer.rarely(slow):
        slow_result = _call(machine, opcode, (left, right), fact)
        slow_end = writer.label
        writer.line(f"br label %{done}")
    writer.begin(done)
    text = writer.let(f"phi i256 [ {quick_wide}, %{quick_end} ], [ {slow_result.text}, %{slow_end} ]")
    return Word(text, 256, fact)


def _divide_signed(machine: Machine, opcode: int, left: Word, right: Word, fact: Fact) -> Word:
    writer = machine.writer
    divisor = right.fact.constant
    signed = divisor - (1 << 256) if divisor is not None and divisor >> 255 else divisor
    if signed is not None and not -(1 << 63) < signed < 1 << 63:
        return _call(machine, opcode, (left, right), fact)
    quick, slow, done = writer.new_label(), writer.new_label(), writer.new_label()
    wide_left, small_left = machine.wide(left), machine.at(left, 64)
    fits = _fits_signed(machine, wide_left, small_left)
    if signed is not None:
        small_right = str(signed)
        if signed == -1:
            # BOUND: the smallest 64-bit number divided by -1 does not fit.
            least = writer.let(f"icmp ne i64 {small_left}, {-(1 << 63)}")
            fits = writer.let(f"and i1 {fits}, {least}")
    else:
        small_right = machine.at(right, 64)
        fits_right = _fits_signed(machine, machine.wide(right), small_right)
        # 0 and -1 are what the machine's division cannot do; both go the slow way.
        shifted = writer.let(f"add i64 {small_right}, 1")
        usual = writer.let(f"icmp ugt i64 {shifted}, 1")
        fits = writer.let(f"and i1 {fits}, {fits_right}")
        fits = writer.let(f"and i1 {fits}, {usual}")
    writer.line(f"br i1 {fits}, label %{quick}, label %{slow}, {LIKELY}")
    writer.begin(quick)
    name = "sdiv" if opcode == Op.SDIV else "srem"
    result = writer.let(f"{name} i64 {small_left}, {small_right}")
    quick_wide = writer.let(f"sext i64 {result} to i256")
    writer.line(f"br label %{done}")
    with writer.rarely(slow):
        slow_result = _call(machine, opcode, (left, right), fact)
        slow_end = writer.label
        writer.line(f"br label %{done}")
    writer.begin(done)
    text = writer.let(f"phi i256 [ {quick_wide}, %{quick} ], [ {slow_result.text}, %{slow_end} ]")
    return Word(text, 256, fact)


def _fits_signed(machine: Machine, wide: str, small: str) -> str:
    writer = machine.writer
    return writer.let(f"icmp eq i256 {writer.let(f'sext i64 {small} to i256')}, {wide}")


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
