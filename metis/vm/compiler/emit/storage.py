"""
SLOAD of what the frame has met, in place; the first time, and for all else, tier 0 executes the opcode.

A slot that the frame has met is warm, and its value changes only by the frame's own SSTORE, so the engine answers
from a table: no gas but the static, nothing to check. The first meeting is a rare block that comes back.
"""

from __future__ import annotations

from metis.vm.compiler.abi import CAUSE_SECTION_GAS
from metis.vm.compiler.emit.machine import Machine, Word
from metis.vm.compiler.emit.step import call_step
from metis.vm.compiler.emit.writer import UNLIKELY
from metis.vm.compiler.sections import MEMORY_RESERVE
from metis.vm.compiler.values import COMPUTED

__all__ = ["load"]


def load(machine: Machine, next_pc: int) -> None:
    """Emit SLOAD; ``next_pc`` is where tier 0 goes on where too little gas is left behind it."""
    state, writer = machine.state, machine.writer
    writer.line(f"store i256 {machine.wide(machine.peek(0))}, ptr %scratch0, align 8")
    helper = writer.load_field("sload", "ptr", constant=True)
    missed = writer.let(f"call i32 {helper}(ptr readnone %context, ptr %scratch0) #1")
    is_missed = writer.let(f"icmp ne i32 {missed}, 0")
    first, following = writer.new_label(), writer.new_label()
    before = writer.label
    writer.line(f"br i1 {is_missed}, label %{first}, label %{following}, {UNLIKELY}")
    with writer.rarely(first):
        gas, end = _step(machine, next_pc)
        writer.line(f"br label %{following}")
    writer.begin(following)
    state.gas = writer.let(f"phi i64 [ {state.gas}, %{before} ], [ {gas}, %{end} ]")
    machine.rewrite(1, Word(writer.let("load i256, ptr %scratch0, align 8"), 256, COMPUTED))


def _step(machine: Machine, next_pc: int) -> tuple[str, str]:
    """Let tier 0 load, put the value where the quick way has it, and return the gas and this block's label."""
    state, writer = machine.state, machine.writer
    status = call_step(machine, 1)
    machine.has_left = True
    writer.branch_unlikely(writer.let(f"icmp ne i32 {status}, 0"), "left")
    remaining = writer.load_field("gas")
    gas = writer.let(f"add i64 {remaining}, {state.spent}") if state.spent else remaining
    slot = state.height - 1
    value = machine.load_slot(slot)
    writer.line(f"store i256 {value}, ptr %scratch0, align 8")
    short, enough = writer.new_label(), writer.new_label()
    is_short = writer.let(f"icmp ult i64 {remaining}, {state.cover + MEMORY_RESERVE}")
    writer.line(f"br i1 {is_short}, label %{short}, label %{enough}, {UNLIKELY}")
    writer.begin(short)
    # The opcode is done: tier 0 goes on behind it, its result in memory already.
    pc, static_gas = machine.pc, machine.static_gas
    machine.state = state.copy()
    machine.state.gas = gas
    machine.pc, machine.static_gas = next_pc, 0
    result = Word(value, 256, COMPUTED)
    machine.rewrite(1, result)
    machine.state.stored[slot] = result
    machine.deoptimise(CAUSE_SECTION_GAS)
    machine.state, machine.pc, machine.static_gas = state, pc, static_gas
    writer.begin(enough)
    return gas, enough
