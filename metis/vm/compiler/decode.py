"""
Bytecode → instructions and valid jump destinations.

Exactly as the EVM reads it: the bytes behind a PUSH are data, so no JUMPDEST; a PUSH cut off by the end
of the code has zeros for the missing bytes; behind the end there is STOP. Linear in the code's length.
Source: Yellow Paper §9.4.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from metis.vm.compiler.opcodes import Op, is_push

__all__ = ["Instruction", "decode", "jump_destinations"]


@dataclass(frozen=True, slots=True)
class Instruction:
    """
    One instruction.

    Attributes
    ----------
    pc : position of its opcode.
    opcode : its byte; 0 (STOP) at the end of the code.
    immediate : what a PUSH pushes, else None.
    next_pc : position behind it.
    """

    pc: int
    opcode: int
    immediate: int | None
    next_pc: int


def decode(code: bytes) -> list[Instruction]:
    """Return the instructions in order, the implied STOP at the end included."""
    instructions: list[Instruction] = []
    pc = 0
    while pc < len(code):
        opcode = code[pc]
        if is_push(opcode):
            size = opcode - Op.PUSH0
            data = code[pc + 1 : pc + 1 + size]
            immediate = int.from_bytes(data, "big") << (8 * (size - len(data)))
            instructions.append(Instruction(pc, opcode, immediate, pc + 1 + size))
            pc += 1 + size
        else:
            instructions.append(Instruction(pc, opcode, None, pc + 1))
            pc += 1
    instructions.append(Instruction(pc, Op.STOP, None, pc + 1))
    return instructions


def jump_destinations(instructions: list[Instruction]) -> frozenset[int]:
    """Return where a jump may go."""
    return frozenset(instruction.pc for instruction in instructions if instruction.opcode == Op.JUMPDEST)
