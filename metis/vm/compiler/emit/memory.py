"""
MLOAD, MSTORE, MSTORE8, MSIZE, KECCAK256.

One comparison with the active size stands before an access; growing is a rare block that calls the engine
and comes back. Memory never shrinks during a frame, so an address that was checked once needs no second
check for what lies below it, and one that lies a known distance behind it needs no check of its upper bits.
"""

from __future__ import annotations

from metis.vm.compiler.abi import CAUSE_GROW, MEMORY_LENGTH_MAX, STATUS_LEFT
from metis.vm.compiler.emit.machine import Machine, Word
from metis.vm.compiler.emit.step import call_step
from metis.vm.compiler.emit.writer import UNLIKELY
from metis.vm.compiler.opcodes import Op
from metis.vm.compiler.sections import MEMORY_RESERVE, RESERVED_MEMORY_BYTES
from metis.vm.compiler.values import COMPUTED, result_fact

__all__ = ["keccak256", "load", "size", "store", "store_byte"]

OFFSET_MAX = MEMORY_LENGTH_MAX // 2
"""Offsets and sizes from here on are left to tier 0; the sum of two smaller ones needs no further check."""

KECCAK_WORD_GAS = 6
"""SPEC: Yellow Paper, G_keccak256word."""


def load(machine: Machine) -> None:
    """Emit MLOAD."""
    address = _address(machine, Op.MLOAD, machine.peek(0), 32)
    if address is None:
        return
    writer = machine.writer
    raw = writer.let(f"load i256, ptr {address}, align 1, !tbaa !5")
    machine.rewrite(1, Word(writer.let(f"call i256 @llvm.bswap.i256(i256 {raw})"), 256, COMPUTED))


def store(machine: Machine) -> None:
    """Emit MSTORE."""
    address = _address(machine, Op.MSTORE, machine.peek(0), 32)
    if address is None:
        return
    writer = machine.writer
    swapped = writer.let(f"call i256 @llvm.bswap.i256(i256 {machine.wide(machine.peek(1))})")
    writer.line(f"store i256 {swapped}, ptr {address}, align 1, !tbaa !5")
    machine.drop(2)


def store_byte(machine: Machine) -> None:
    """Emit MSTORE8."""
    address = _address(machine, Op.MSTORE8, machine.peek(0), 1)
    if address is None:
        return
    machine.writer.line(f"store i8 {machine.at(machine.peek(1), 8)}, ptr {address}, align 1, !tbaa !5")
    machine.drop(2)


def size(machine: Machine) -> None:
    """Emit MSIZE."""
    machine.push(Word(machine.writer.load_field("memory_length"), 64, result_fact(Op.MSIZE, ())))


def _address(machine: Machine, opcode: int, offset: Word, length: int) -> str | None:
    """Make ``length`` bytes at an offset active and return their address; None where that can never be paid."""
    state, writer = machine.state, machine.writer
    constant = offset.fact.constant
    if constant is not None:
        end = constant + length
        if end > OFFSET_MAX:
            machine.deoptimise_always(CAUSE_GROW)
            return None
        if end > state.active:
            _activate(machine, opcode, end)
            state.active = (end + 31) // 32 * 32
        return writer.let(f"getelementptr inbounds i8, ptr {writer.load_field('memory', 'ptr')}, i64 {constant}")
    # A root below 2**31 plus an offset below 2**32 does not wrap, so only the root's upper bits are looked at.
    root, behind = (offset.root, offset.offset) if offset.root is not None else (offset, 0)
    end = behind + length
    low = machine.at(root, 64)
    if root not in state.checked:
        if root.fact.bits > 32:
            is_large = writer.let(f"icmp uge i{root.width} {root.text}, {OFFSET_MAX}")
            machine.deoptimise_if(is_large, CAUSE_GROW)
        state.checked[root] = 0
    if end > state.checked[root]:
        _activate(machine, opcode, writer.let(f"add nuw i64 {low}, {end}"))
        state.checked[root] = end
    base = writer.load_field("memory", "ptr")
    position = writer.let(f"add nuw i64 {low}, {behind}") if behind else low
    return writer.let(f"getelementptr inbounds i8, ptr {base}, i64 {position}")


def _activate(machine: Machine, opcode: int, end: int | str) -> None:
    """
    Grow memory where ``end`` lies behind its active size.

    Only gas lives in an SSA value across this; the address of memory is loaded again by whoever needs it.
    """
    writer, state = machine.writer, machine.state
    is_reserved = isinstance(end, int) and end <= RESERVED_MEMORY_BYTES
    active = writer.load_field("memory_length")
    is_behind = writer.let(f"icmp ugt i64 {end}, {active}")
    grow, following, unpaid, paid = (writer.new_label() for _ in range(4))
    before = writer.label
    writer.line(f"br i1 {is_behind}, label %{grow}, label %{following}, {UNLIKELY}")
    with writer.rarely(grow):
        if isinstance(end, int):
            rounded = str((end + 31) // 32 * 32)
        else:
            rounded = writer.let(f"and i64 {writer.let(f'add i64 {end}, 31')}, -32")
        writer.store_field("gas", machine.gas_now())
        helper = writer.load_field("grow", "ptr", constant=True)
        failed = writer.let(f"call i32 {helper}(ptr %context, i64 {rounded}) #2")
        cannot = writer.let(f"icmp ne i32 {failed}, 0")
        remaining = writer.load_field("gas")
        gas = writer.let(f"add i64 {remaining}, {state.spent}") if state.spent else remaining
        if not is_reserved:
            # What was paid stays paid: tier 0 finds the memory large enough and charges no more for it.
            is_short = writer.let(f"icmp ult i64 {remaining}, {state.cover + MEMORY_RESERVE}")
            cannot = writer.let(f"or i1 {cannot}, {is_short}")
        writer.line(f"br i1 {cannot}, label %{unpaid}, label %{paid}, {UNLIKELY}")
        writer.begin(paid)
        writer.line(f"br label %{following}")
        writer.begin(unpaid)
        if is_reserved:
            # The last check holds the gas for it in reserve; were it not so, the frame would end here.
            call_step(machine, machine.table.inputs[opcode])
            writer.line(f"ret i32 {STATUS_LEFT}")
        else:
            gas_before_growth, state.gas = state.gas, gas
            machine.deoptimise(CAUSE_GROW)
            state.gas = gas_before_growth
    writer.begin(following)
    state.gas = writer.let(f"phi i64 [ {state.gas}, %{before} ], [ {gas}, %{paid} ]")


def keccak256(machine: Machine) -> None:
    """Emit KECCAK256: gas per word, then memory, then the hash itself in the engine."""
    writer = machine.writer
    offset, length = machine.peek(0), machine.peek(1)
    if length.fact.constant is not None:
        count = length.fact.constant
        if count > OFFSET_MAX:
            machine.deoptimise_always(CAUSE_GROW)
            return
        if count:
            machine.charge(str(KECCAK_WORD_GAS * ((count + 31) // 32)))
            address = _address(machine, Op.KECCAK256, offset, count)
            if address is None:
                return
        else:
            address = writer.load_field("memory", "ptr")
        size_text = str(count)
    else:
        if length.fact.bits > 32:
            machine.deoptimise_if(writer.let(f"icmp uge i{length.width} {length.text}, {OFFSET_MAX}"), CAUSE_GROW)
        size_text = machine.at(length, 64)
        words = writer.let(f"lshr i64 {writer.let(f'add i64 {size_text}, 31')}, 5")
        machine.charge(writer.let(f"mul i64 {words}, {KECCAK_WORD_GAS}"))
        is_empty = writer.let(f"icmp eq i64 {size_text}, 0")
        # Of no bytes the offset does not matter, however large.
        used = writer.let(f"select i1 {is_empty}, i256 0, i256 {machine.wide(offset)}")
        machine.deoptimise_if(writer.let(f"icmp uge i256 {used}, {OFFSET_MAX}"), CAUSE_GROW)
        low = writer.let(f"trunc i256 {used} to i64")
        _activate(machine, Op.KECCAK256, writer.let(f"add i64 {low}, {size_text}"))
        base = writer.load_field("memory", "ptr")
        address = writer.let(f"getelementptr inbounds i8, ptr {base}, i64 {low}")
    helper = writer.load_field("keccak", "ptr", constant=True)
    writer.line(f"call void {helper}(ptr readnone %context, ptr %scratch0, ptr {address}, i64 {size_text}) #1")
    machine.rewrite(2, Word(writer.let("load i256, ptr %scratch0, align 8"), 256, COMPUTED))
