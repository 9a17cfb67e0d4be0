"""
The opcodes that the compiler knows by name, and one fork's table of all 256.

Numbers and names are the Yellow Paper's. What an opcode costs and whether a fork has it comes from the
engine, so that there is one table of gas in the project.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from metis.engine import opcode_table as engine_opcode_table

__all__ = ["CALLS", "HALTS", "OPEN_CODED", "Op", "OpcodeTable", "is_push", "opcode_table"]


class Op(IntEnum):
    """Opcodes that the compiler treats by name."""

    STOP = 0x00
    ADD = 0x01
    MUL = 0x02
    SUB = 0x03
    DIV = 0x04
    SDIV = 0x05
    MOD = 0x06
    SMOD = 0x07
    ADDMOD = 0x08
    MULMOD = 0x09
    EXP = 0x0A
    SIGNEXTEND = 0x0B
    LT = 0x10
    GT = 0x11
    SLT = 0x12
    SGT = 0x13
    EQ = 0x14
    ISZERO = 0x15
    AND = 0x16
    OR = 0x17
    XOR = 0x18
    NOT = 0x19
    BYTE = 0x1A
    SHL = 0x1B
    SHR = 0x1C
    SAR = 0x1D
    CLZ = 0x1E
    KECCAK256 = 0x20
    ADDRESS = 0x30
    CALLER = 0x33
    CALLVALUE = 0x34
    CALLDATALOAD = 0x35
    CALLDATASIZE = 0x36
    CODESIZE = 0x38
    RETURNDATASIZE = 0x3D
    POP = 0x50
    MLOAD = 0x51
    MSTORE = 0x52
    MSTORE8 = 0x53
    SLOAD = 0x54
    JUMP = 0x56
    JUMPI = 0x57
    PC = 0x58
    MSIZE = 0x59
    GAS = 0x5A
    JUMPDEST = 0x5B
    PUSH0 = 0x5F
    PUSH32 = 0x7F
    DUP1 = 0x80
    DUP16 = 0x8F
    SWAP1 = 0x90
    SWAP16 = 0x9F
    CREATE = 0xF0
    CALL = 0xF1
    CALLCODE = 0xF2
    RETURN = 0xF3
    DELEGATECALL = 0xF4
    CREATE2 = 0xF5
    STATICCALL = 0xFA
    REVERT = 0xFD
    INVALID = 0xFE
    SELFDESTRUCT = 0xFF


CALLS: Final = frozenset(
    {Op.CREATE, Op.CALL, Op.CALLCODE, Op.DELEGATECALL, Op.CREATE2, Op.STATICCALL},
)
"""Opcodes that suspend the frame; it comes back behind them."""

HALTS: Final = frozenset({Op.STOP, Op.RETURN, Op.REVERT, Op.INVALID, Op.SELFDESTRUCT})
"""Opcodes that end the frame."""

OPEN_CODED: Final = frozenset(
    op for op in Op if op not in CALLS and op not in HALTS and op is not Op.PUSH0
) | frozenset(range(Op.PUSH0, Op.SWAP16 + 1))
"""Opcodes that become machine code; every other one is a `step`."""


def is_push(opcode: int) -> bool:
    """Whether this is one of PUSH0…PUSH32."""
    return Op.PUSH0 <= opcode <= Op.PUSH32


@dataclass(frozen=True, slots=True)
class OpcodeTable:
    """
    All opcodes of one fork.

    Attributes
    ----------
    names : what the fork calls the opcode; undefined ones have a name in hexadecimal.
    static_gas : charged before the opcode's own rules.
    inputs, outputs : stack words taken and given. DUPn and SWAPn count as the Yellow Paper has them.
    active : whether the fork has the opcode.
    """

    names: tuple[str, ...]
    static_gas: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    active: tuple[bool, ...]

    def is_open_coded(self, opcode: int) -> bool:
        """Whether the compiler makes machine code of it in this fork."""
        return self.active[opcode] and opcode in OPEN_CODED

    def ends_block(self, opcode: int) -> bool:
        """Whether the frame ends, suspends or fails at it."""
        return not self.active[opcode] or opcode in HALTS or opcode in CALLS


@functools.cache
def opcode_table(fork: str) -> OpcodeTable:
    """
    Return the table of a fork by its canonical name.

    Raises
    ------
    GenesisError : the engine has no such fork.
    """
    names, static_gas, inputs, outputs, active = zip(*engine_opcode_table(fork), strict=True)
    return OpcodeTable(names, static_gas, inputs, outputs, active)
