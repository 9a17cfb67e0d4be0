"""
Instructions → basic blocks.

A block begins at 0, at a JUMPDEST, behind a JUMPI and behind an opcode that ends or suspends the frame;
it ends before the next. One pass; a block holds its instructions, so memory is linear in the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from metis.vm.compiler.decode import Instruction, decode, jump_destinations
from metis.vm.compiler.opcodes import CALLS, Op, OpcodeTable

__all__ = ["Block", "End", "Program", "read_program"]


class End(Enum):
    """How a block ends."""

    FALL = "falls into the next block"
    JUMP = "jumps"
    BRANCH = "jumps or goes on"
    CALL = "suspends the frame"
    HALT = "ends the frame"


@dataclass(frozen=True, slots=True)
class Block:
    """
    A straight run of instructions.

    Attributes
    ----------
    instructions : all of them, the ending one included.
    end : how it ends.
    next_pc : position behind it.
    """

    instructions: tuple[Instruction, ...]
    end: End
    next_pc: int

    @property
    def pc(self) -> int:
        """Where it begins."""
        return self.instructions[0].pc


@dataclass(frozen=True, slots=True)
class Program:
    """
    One contract's code for one fork.

    Attributes
    ----------
    code : the bytes.
    table : the fork's opcodes.
    blocks : position → the block that begins there.
    destinations : valid jump destinations.
    """

    code: bytes
    table: OpcodeTable
    blocks: dict[int, Block]
    destinations: frozenset[int]


def _end_of(opcode: int, table: OpcodeTable) -> End | None:
    if not table.active[opcode]:
        return End.HALT
    if opcode == Op.JUMP:
        return End.JUMP
    if opcode == Op.JUMPI:
        return End.BRANCH
    if opcode in CALLS:
        return End.CALL
    return End.HALT if table.ends_block(opcode) else None


def read_program(code: bytes, table: OpcodeTable) -> Program:
    """Decode code and cut it into blocks."""
    instructions = decode(code)
    blocks: dict[int, Block] = {}
    run: list[Instruction] = []
    for instruction in instructions:
        if instruction.opcode == Op.JUMPDEST and run:
            blocks[run[0].pc] = Block(tuple(run), End.FALL, instruction.pc)
            run = []
        run.append(instruction)
        end = _end_of(instruction.opcode, table)
        if end is not None:
            blocks[run[0].pc] = Block(tuple(run), end, instruction.next_pc)
            run = []
    return Program(code, table, blocks, jump_destinations(instructions))
