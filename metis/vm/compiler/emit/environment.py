"""Values of the call that the context holds: ADDRESS, CALLER, CALLVALUE, CALLDATALOAD, CALLDATASIZE and others."""

from __future__ import annotations

from collections.abc import Callable

from metis.vm.compiler.emit.machine import Machine, Word, constant_word
from metis.vm.compiler.emit.writer import LIKELY
from metis.vm.compiler.opcodes import Op
from metis.vm.compiler.values import COMPUTED, result_fact

__all__ = ["ENVIRONMENT", "call_data_load"]


def _address(field: str, opcode: int) -> Callable[[Machine], None]:
    def emit(machine: Machine) -> None:
        writer = machine.writer
        pointer = writer.load_field(field, "ptr", constant=True)
        raw = writer.let(f"load i160, ptr {pointer}, align 1, !tbaa !6")
        swapped = writer.let(f"call i160 @llvm.bswap.i160(i160 {raw})")
        machine.push(Word(writer.let(f"zext i160 {swapped} to i256"), 256, result_fact(opcode, ())))

    return emit


def _length(field: str, opcode: int) -> Callable[[Machine], None]:
    def emit(machine: Machine) -> None:
        machine.push(Word(machine.writer.load_field(field), 64, result_fact(opcode, ())))

    return emit


def _call_value(machine: Machine) -> None:
    writer = machine.writer
    pointer = writer.load_field("call_value", "ptr", constant=True)
    machine.push(Word(writer.let(f"load i256, ptr {pointer}, align 8, !tbaa !6"), 256, COMPUTED))


def _code_size(machine: Machine) -> None:
    machine.push(constant_word(machine.code_size))


def _pc(machine: Machine) -> None:
    machine.push(constant_word(machine.pc))


def _gas(machine: Machine) -> None:
    machine.push(Word(machine.gas_now(), 64, result_fact(Op.GAS, ())))


def call_data_load(machine: Machine) -> None:
    """Emit CALLDATALOAD: in place where all 32 bytes are there, else byte by byte in a shared function."""
    writer = machine.writer
    offset = machine.peek(0)
    data = writer.load_field("calldata", "ptr")
    length = writer.load_field("calldata_length")
    low = machine.at(offset, 64)
    # Offsets are compared with the length minus 32, signed: short call data makes that negative.
    last = writer.let(f"sub i64 {length}, 32")
    is_inside = writer.let(f"icmp sle i64 {low}, {last}")
    if offset.fact.constant is not None:
        if offset.fact.constant >> 62:
            machine.rewrite(1, constant_word(0))
            return
    elif offset.fact.bits > 62:
        is_small = writer.let(f"icmp ult i{offset.width} {offset.text}, {1 << 62}")
        is_inside = writer.let(f"and i1 {is_inside}, {is_small}")
    whole, partial, done = writer.new_label(), writer.new_label(), writer.new_label()
    writer.line(f"br i1 {is_inside}, label %{whole}, label %{partial}, {LIKELY}")
    writer.begin(whole)
    pointer = writer.let(f"getelementptr inbounds i8, ptr {data}, i64 {low}")
    raw = writer.let(f"load i256, ptr {pointer}, align 1, !tbaa !6")
    swapped = writer.let(f"call i256 @llvm.bswap.i256(i256 {raw})")
    writer.line(f"br label %{done}")
    with writer.rarely(partial):
        wide = machine.wide(offset)
        writer.line(f"call void @call_data_tail(ptr %scratch0, ptr {data}, i64 {length}, i256 {wide})")
        rest = writer.let("load i256, ptr %scratch0, align 8")
        writer.line(f"br label %{done}")
    writer.begin(done)
    text = writer.let(f"phi i256 [ {swapped}, %{whole} ], [ {rest}, %{partial} ]")
    machine.rewrite(1, Word(text, 256, COMPUTED))


ENVIRONMENT: dict[int, Callable[[Machine], None]] = {
    Op.ADDRESS: _address("address", Op.ADDRESS),
    Op.CALLER: _address("caller", Op.CALLER),
    Op.CALLVALUE: _call_value,
    Op.CALLDATALOAD: call_data_load,
    Op.CALLDATASIZE: _length("calldata_length", Op.CALLDATASIZE),
    Op.RETURNDATASIZE: _length("return_data_length", Op.RETURNDATASIZE),
    Op.CODESIZE: _code_size,
    Op.PC: _pc,
    Op.GAS: _gas,
}
"""Opcodes without operands (but for CALLDATALOAD) whose value is at hand."""
