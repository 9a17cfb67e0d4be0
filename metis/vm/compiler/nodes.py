"""
What the flow analysis finds: nodes, how they end, and what one block does to the facts about its stack.

A node is a block in a context, see :mod:`metis.vm.compiler.flow`; nodes that only follow each other are joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from metis.vm.compiler.blocks import Block, End, Program
from metis.vm.compiler.opcodes import Op
from metis.vm.compiler.values import UNKNOWN, Fact, constant_fact, result_fact

__all__ = ["Context", "Exit", "Flow", "Node", "merge_runs", "run_block"]

Context = tuple[tuple[int, int], ...]
"""Known return addresses: (words from the top, address)."""


@dataclass(slots=True)
class Exit:
    """
    How a node ends.

    Attributes
    ----------
    taken, next : nodes inside the same function, or None.
    crossing_pc : where a jump goes that leaves its function (a call of an internal function), or None.
    is_dynamic : the jump's target is not known.
    is_invalid : the jump's target is known to be invalid.
    """

    taken: Node | None = None
    next: Node | None = None
    crossing_pc: int | None = None
    next_crossing_pc: int | None = None
    is_dynamic: bool = False
    is_invalid: bool = False

    def successors(self) -> list[Node]:
        """Nodes inside the same function that may follow."""
        return [node for node in (self.taken, self.next) if node is not None]


@dataclass(slots=True, eq=False)
class Node:
    """
    A block, or blocks that only follow each other, in a context.

    Attributes
    ----------
    blocks : at least one.
    context : see the module.
    entry : facts of the stack's top words at the start, deepest first.
    is_external : entered from outside with an unknown stack.
    exit : how it ends.
    """

    blocks: list[Block]
    context: Context
    entry: list[Fact]
    is_external: bool = False
    exit: Exit = field(default_factory=Exit)

    @property
    def pc(self) -> int:
        """Where it begins."""
        return self.blocks[0].pc

    @property
    def end(self) -> End:
        """How its last block ends."""
        return self.blocks[-1].end

    @property
    def size(self) -> int:
        """Number of instructions."""
        return sum(len(block.instructions) for block in self.blocks)


@dataclass(slots=True)
class Flow:
    """All reachable nodes, and the program counters at which the code may be entered."""

    nodes: list[Node]
    entries: list[int]
    dynamic_targets: frozenset[int]


def run_block(block: Block, entry: Sequence[Fact], program: Program) -> tuple[list[Fact], Fact, Fact]:
    """Return the facts behind a block, and those of the jump's target and condition where there is one."""
    stack = list(entry)
    target = condition = UNKNOWN
    table = program.table

    def reach(depth: int) -> None:
        if len(stack) < depth:
            stack[:0] = [UNKNOWN] * (depth - len(stack))

    for instruction in block.instructions:
        opcode = instruction.opcode
        if instruction.immediate is not None:
            stack.append(constant_fact(instruction.immediate))
        elif Op.DUP1 <= opcode <= Op.DUP16:
            reach(opcode - Op.DUP1 + 1)
            stack.append(stack[Op.DUP1 - opcode - 1])
        elif Op.SWAP1 <= opcode <= Op.SWAP16:
            other = opcode - Op.SWAP1 + 2
            reach(other)
            stack[-1], stack[-other] = stack[-other], stack[-1]
        elif not table.active[opcode]:
            break
        else:
            inputs = table.inputs[opcode]
            reach(inputs)
            operands = [stack.pop() for _ in range(inputs)]
            if opcode == Op.JUMP:
                target = operands[0]
            elif opcode == Op.JUMPI:
                target, condition = operands
            elif table.outputs[opcode]:
                stack.append(_output(opcode, operands, instruction.pc, program))
    return stack, target, condition


def _output(opcode: int, operands: list[Fact], pc: int, program: Program) -> Fact:
    if opcode == Op.PC:
        return constant_fact(pc)
    if opcode == Op.CODESIZE:
        return constant_fact(len(program.code))
    if not program.table.is_open_coded(opcode):
        return Fact(256)
    return result_fact(opcode, operands)


def merge_runs(nodes: list[Node]) -> list[Node]:
    """Join nodes that only follow each other into one, so that one check of gas serves them all."""
    incoming: dict[int, int] = {}
    for node in nodes:
        for successor in node.exit.successors():
            incoming[id(successor)] = incoming.get(id(successor), 0) + 1
    merged: set[int] = set()
    for node in nodes:
        if id(node) in merged:
            continue
        while True:
            successors = node.exit.successors()
            if len(successors) != 1 or node.end not in (End.FALL, End.JUMP):
                break
            follower = successors[0]
            if follower is node or follower.is_external or incoming[id(follower)] != 1:
                break
            node.blocks = node.blocks + follower.blocks
            node.exit = follower.exit
            merged.add(id(follower))
    return [node for node in nodes if id(node) not in merged]
