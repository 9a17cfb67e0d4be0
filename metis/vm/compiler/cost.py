"""
What LLVM will take, estimated before it sees anything.

Milliseconds of CPU per instruction, measured on one core of a 2023 server with floods of each opcode; they
need only be right to a factor of two. Long straight runs count more, since LLVM's time grows faster than
their length.
"""

from __future__ import annotations

from typing import Final

from metis.vm.compiler.nodes import Flow, Node
from metis.vm.compiler.opcodes import Op, OpcodeTable

__all__ = ["estimate_ms"]

_MOVES_MS: Final = 0.1
_PLAIN_MS: Final = 0.4
_STEP_MS: Final = 1.0
_ENTRY_MS: Final = 1.0
_LONG_RUN_MS: Final = 400

_HEAVY_MS: Final[dict[int, float]] = {
    Op.MLOAD: 1.6,
    Op.MSTORE: 1.6,
    Op.MSTORE8: 1.6,
    Op.KECCAK256: 3.0,
    Op.SLOAD: 1.6,
    Op.CALLDATALOAD: 1.6,
    Op.DIV: 1.6,
    Op.MOD: 1.6,
    Op.SDIV: 2.0,
    Op.SMOD: 2.0,
    Op.EXP: 1.6,
    Op.MULMOD: 0.8,
    Op.ADDMOD: 0.8,
    Op.SHL: 0.8,
    Op.SHR: 0.8,
    Op.SAR: 0.8,
    Op.MUL: 0.8,
}


def estimate_ms(flow: Flow, table: OpcodeTable) -> float:
    """Return LLVM's CPU time for a flow, in milliseconds, roughly."""
    return len(flow.entries) * _ENTRY_MS + sum(_node_ms(node, table) for node in flow.nodes)


def _node_ms(node: Node, table: OpcodeTable) -> float:
    total = sum(_opcode_ms(instruction.opcode, table) for block in node.blocks for instruction in block.instructions)
    return total * max(1.0, total / _LONG_RUN_MS)


def _opcode_ms(opcode: int, table: OpcodeTable) -> float:
    if not table.is_open_coded(opcode):
        return _STEP_MS
    if opcode in _HEAVY_MS:
        return _HEAVY_MS[opcode]
    if Op.PUSH0 <= opcode <= Op.SWAP16 or opcode in (Op.POP, Op.JUMPDEST):
        return _MOVES_MS
    return _PLAIN_MS
