"""
Opcodes that tier 0 executes: a call of the engine's `step`.

Before it the whole stack is written to its memory: a step costs far more than the stores, and what is in
memory need not be written again wherever compiled code may leave.
"""

from __future__ import annotations

from metis.vm.compiler.abi import STATUS_LEFT
from metis.vm.compiler.emit.machine import Machine
from metis.vm.compiler.opcodes import CALLS

__all__ = ["call_step", "leaving_step", "step"]


def call_step(machine: Machine, inputs: int) -> str:
    """Hand the current instruction to tier 0, its operands in memory; return whether to leave."""
    writer, state = machine.writer, machine.state
    for slot in range(state.height - inputs, state.height):
        word = state.stack.get(slot)
        if word is not None and state.stored.get(slot) is not word:
            machine.store_slot(slot, word)
    machine.store_length()
    writer.store_field("gas", machine.gas_before())
    helper = writer.load_field("step", "ptr", constant=True)
    return writer.let(f"call i32 {helper}(ptr %context, i64 {machine.pc}) #2")


def step(machine: Machine, opcode: int) -> None:
    """Emit an opcode after which the frame goes on here, unless it fails."""
    writer, table = machine.writer, machine.table
    machine.write_back()
    status = call_step(machine, table.inputs[opcode])
    machine.has_left = True
    writer.branch_unlikely(writer.let(f"icmp ne i32 {status}, 0"), "left")
    machine.state.gas, machine.state.spent = writer.load_field("gas"), 0
    machine.drop(table.inputs[opcode])
    machine.state.height += table.outputs[opcode]


def leaving_step(machine: Machine, opcode: int) -> None:
    """Emit an opcode that ends or suspends the frame; one that ends it needs its operands alone."""
    if opcode in CALLS and machine.table.active[opcode]:
        machine.write_back()
    inputs = machine.table.inputs[opcode] if machine.table.active[opcode] else 0
    call_step(machine, inputs)
    machine.writer.line(f"ret i32 {STATUS_LEFT}")
    machine.is_ended = True
