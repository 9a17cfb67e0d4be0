"""Comparisons, logic and shifts: LT … CLZ."""

from __future__ import annotations

from metis.vm.compiler.emit.arithmetic import folded, narrow_width
from metis.vm.compiler.emit.machine import Machine, Word, constant_word
from metis.vm.compiler.opcodes import Op
from metis.vm.compiler.values import WORD_MASK, Fact, result_fact

__all__ = ["binary", "is_zero", "leading_zeros", "logical_not", "shift"]

_PREDICATES = {Op.LT: "ult", Op.GT: "ugt", Op.SLT: "slt", Op.SGT: "sgt", Op.EQ: "eq"}
_LOGIC = {Op.AND: "and", Op.OR: "or", Op.XOR: "xor"}


def _fitting(*words: Word) -> int:
    """Return the narrowest width that holds all of the words."""
    if all(word.fact.bits <= 1 and (word.width == 1 or word.fact.constant is not None) for word in words):
        return 1
    return narrow_width(max(word.fact.bits for word in words))


def binary(machine: Machine, opcode: int) -> None:
    """Emit a comparison, AND, OR, XOR or BYTE."""
    if folded(machine, opcode, 2):
        return
    left, right = machine.peek(0), machine.peek(1)
    fact = result_fact(opcode, (left.fact, right.fact))
    if opcode in _PREDICATES:
        word = _compare(machine, opcode, left, right, fact)
    elif opcode in _LOGIC:
        word = _logic(machine, opcode, left, right, fact)
    else:
        word = _byte(machine, left, right, fact)
    machine.rewrite(2, word)


def _compare(machine: Machine, opcode: int, left: Word, right: Word, fact: Fact) -> Word:
    predicate = _PREDICATES[Op(opcode)]
    if opcode in (Op.SLT, Op.SGT):
        if max(left.fact.bits, right.fact.bits) == 256:
            width = 256
        else:
            predicate = "u" + predicate[1:]
            width = _fitting(left, right)
    else:
        width = _fitting(left, right)
    text = machine.writer.let(f"icmp {predicate} i{width} {machine.at(left, width)}, {machine.at(right, width)}")
    return Word(text, 1, fact)


def _logic(machine: Machine, opcode: int, left: Word, right: Word, fact: Fact) -> Word:
    if opcode == Op.AND:
        for word, other in ((left, right), (right, left)):
            mask = other.fact.constant
            # A mask of ones that covers all bits that can be set changes nothing.
            if mask is not None and mask & (mask + 1) == 0 and word.fact.bits <= mask.bit_length():
                return word
        width = 1 if _fitting(left, right) == 1 else narrow_width(fact.bits)
    else:
        width = _fitting(left, right)
    operands = f"{machine.at(left, width)}, {machine.at(right, width)}"
    return Word(machine.writer.let(f"{_LOGIC[Op(opcode)]} i{width} {operands}"), width, fact)


def _byte(machine: Machine, index: Word, word: Word, fact: Fact) -> Word:
    writer = machine.writer
    if index.fact.constant is not None:
        if index.fact.constant > 31:
            return constant_word(0)
        amount = 8 * (31 - index.fact.constant)
        shifted = writer.let(f"lshr i256 {machine.wide(word)}, {amount}")
        low = writer.let(f"trunc i256 {shifted} to i64")
        return Word(writer.let(f"and i64 {low}, 255"), 64, fact)
    wide_index = machine.wide(index)
    is_inside = writer.let(f"icmp ult i256 {wide_index}, 32")
    bits = writer.let(f"shl i256 {wide_index}, 3")
    shift_amount = writer.let(f"sub i256 248, {bits}")
    safe = writer.let(f"select i1 {is_inside}, i256 {shift_amount}, i256 0")
    shifted = writer.let(f"lshr i256 {machine.wide(word)}, {safe}")
    low = writer.let(f"and i64 {writer.let(f'trunc i256 {shifted} to i64')}, 255")
    return Word(writer.let(f"select i1 {is_inside}, i64 {low}, i64 0"), 64, fact)


def is_zero(machine: Machine) -> None:
    """Emit ISZERO."""
    if folded(machine, Op.ISZERO, 1):
        return
    word = machine.peek(0)
    fact = result_fact(Op.ISZERO, (word.fact,))
    if word.width == 1:
        text = machine.writer.let(f"xor i1 {word.text}, 1")
    else:
        width = min(word.width, narrow_width(word.fact.bits))
        text = machine.writer.let(f"icmp eq i{width} {machine.at(word, width)}, 0")
    machine.rewrite(1, Word(text, 1, fact))


def logical_not(machine: Machine) -> None:
    """Emit NOT."""
    if folded(machine, Op.NOT, 1):
        return
    text = machine.writer.let(f"xor i256 {machine.wide(machine.peek(0))}, {WORD_MASK}")
    machine.rewrite(1, Word(text, 256, Fact(256)))


def leading_zeros(machine: Machine) -> None:
    """Emit CLZ (EIP-7939)."""
    if folded(machine, Op.CLZ, 1):
        return
    writer = machine.writer
    count = writer.let(f"call i256 @llvm.ctlz.i256(i256 {machine.wide(machine.peek(0))}, i1 false)")
    machine.rewrite(1, Word(writer.let(f"trunc i256 {count} to i64"), 64, Fact(9)))


def shift(machine: Machine, opcode: int) -> None:
    """Emit SHL, SHR or SAR."""
    if folded(machine, opcode, 2):
        return
    amount, word = machine.peek(0), machine.peek(1)
    fact = result_fact(opcode, (amount.fact, word.fact))
    if opcode == Op.SAR and word.fact.bits < 256:
        opcode = Op.SHR
    if amount.fact.constant is not None:
        machine.rewrite(2, _shift_by(machine, opcode, amount.fact.constant, word, fact))
        return
    writer = machine.writer
    wide_amount, wide = machine.wide(amount), machine.wide(word)
    fits = writer.let(f"icmp ult i256 {wide_amount}, 256")
    safe = writer.let(f"select i1 {fits}, i256 {wide_amount}, i256 255")
    if opcode == Op.SAR:
        machine.rewrite(2, Word(writer.let(f"ashr i256 {wide}, {safe}"), 256, fact))
        return
    name = "shl" if opcode == Op.SHL else "lshr"
    shifted = writer.let(f"{name} i256 {wide}, {safe}")
    machine.rewrite(2, Word(writer.let(f"select i1 {fits}, i256 {shifted}, i256 0"), 256, fact))


def _shift_by(machine: Machine, opcode: int, amount: int, word: Word, fact: Fact) -> Word:
    writer = machine.writer
    if amount == 0:
        return word
    if opcode == Op.SHL:
        if amount > 255:
            return constant_word(0)
        width = narrow_width(fact.bits)
        return Word(writer.let(f"shl i{width} {machine.at(word, width)}, {amount}"), width, fact)
    if opcode == Op.SAR:
        return Word(writer.let(f"ashr i256 {machine.wide(word)}, {min(amount, 255)}"), 256, fact)
    if amount >= word.fact.bits or amount >= word.width:
        return constant_word(0)
    shifted = writer.let(f"lshr i{word.width} {word.text}, {amount}")
    width = narrow_width(fact.bits)
    if width < word.width:
        return Word(writer.let(f"trunc i{word.width} {shifted} to i{width}"), width, fact)
    return Word(shifted, word.width, fact)
