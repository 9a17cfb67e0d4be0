"""
Abstract interpretation: which block runs after which, and what is known about the stack there.

A node is a block in a context. The context is where on the stack return addresses lie that are known,
so a small internal function that is called from two places becomes two nodes with two known returns: it
is inlined. Calls of larger functions, and everything that comes from outside (the start, the way back
from a CALL, a jump whose target is not known), enter a node with an empty context and a stack of which
nothing is known.

The analysis is a work-list to a fixed point: facts only weaken (:func:`metis.vm.compiler.values.join`),
and the instructions of all nodes have a bound, so it ends; cost is linear in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from metis.vm.compiler.blocks import Block, End, Program
from metis.vm.compiler.nodes import Context, Exit, Flow, Node, merge_runs, run_block
from metis.vm.compiler.opcodes import Op, is_push
from metis.vm.compiler.values import Fact, join

__all__ = ["FlowTooLarge", "analyse"]

KNOWN_DEPTH_MAX: Final = 96
"""BOUND: words below the top about which facts are kept."""

CONTEXT_MAX: Final = 10
"""BOUND: return addresses in a context, so that recursion ends."""

DESTINATIONS_MAX: Final = 512
"""BOUND: jump destinations that an unresolved computed jump may make entries of."""


class FlowTooLarge(Exception):
    """More instructions than allowed; try again with less inlining, or refuse."""


class _Analysis:
    def __init__(self, program: Program, *, inline_size: int, instructions_max: int) -> None:
        self.program = program
        self.inline_size = inline_size
        self.instructions_left = instructions_max
        self.candidates = _return_candidates(program) if inline_size >= 0 else frozenset()
        self.call_counts = _call_counts(program)
        self.nodes: dict[tuple[int, Context], Node] = {}
        self.pending: list[Node] = []
        self.is_pending: set[int] = set()
        self.escaped: set[int] = set()
        self.has_dynamic = False
        self.has_computed = False
        self.inlinable: dict[int, bool] = {}

    def enter(self, pc: int, context: Context, stack: Sequence[Fact], *, external: bool = False) -> Node:
        key = (pc, context)
        node = self.nodes.get(key)
        known = [] if external else list(stack[-KNOWN_DEPTH_MAX:])
        if node is None:
            self.instructions_left -= len(self.program.blocks[pc].instructions)
            if self.instructions_left < 0:
                raise FlowTooLarge
            node = self.nodes[key] = Node([self.program.blocks[pc]], context, known, external)
            self._push(node)
            return node
        depth = min(len(known), len(node.entry))
        joined = [
            join(left, right)
            for left, right in zip(node.entry[len(node.entry) - depth :], known[len(known) - depth :], strict=True)
        ]
        if joined != node.entry or (external and not node.is_external):
            node.entry = joined
            node.is_external |= external
            self._push(node)
        return node

    def enter_from_outside(self, pc: int) -> None:
        node = self.nodes.get((pc, ()))
        if node is None or not node.is_external:
            self.enter(pc, (), [], external=True)

    def _push(self, node: Node) -> None:
        if id(node) not in self.is_pending:
            self.is_pending.add(id(node))
            self.pending.append(node)

    def escape(self, stack: Sequence[Fact]) -> None:
        """The stack leaves our sight: a return address on it may come back through an unresolved jump."""
        for fact in stack:
            if fact.constant in self.candidates and fact.constant not in self.escaped:
                self.escaped.add(fact.constant)
                if self.has_dynamic:
                    self.enter_from_outside(fact.constant)

    def run(self) -> Flow:
        self.enter_from_outside(0)
        while self.pending:
            node = self.pending.pop()
            self.is_pending.discard(id(node))
            self._process(node)
        return self._result()

    def _process(self, node: Node) -> None:
        block = node.blocks[0]
        stack, target, condition = run_block(block, node.entry, self.program)
        node.exit = Exit()
        if block.end is End.CALL:
            self.escape(stack)
            self.enter_from_outside(block.next_pc)
        elif block.end is End.FALL:
            self._go(node, block.next_pc, stack, is_jump=False)
        elif block.end is End.JUMP:
            self._jump(node, target, stack)
        elif block.end is End.BRANCH:
            if condition.constant is None or condition.constant != 0:
                self._jump(node, target, stack)
            if condition.constant is None or condition.constant == 0:
                self._go(node, block.next_pc, stack, is_jump=False)

    def _jump(self, node: Node, target: Fact, stack: list[Fact]) -> None:
        if target.constant is None:
            node.exit.is_dynamic = True
            self.escape(stack)
            self._meet_dynamic(is_computed=target.is_computed)
        elif target.constant not in self.program.destinations:
            node.exit.is_invalid = True
        else:
            self._go(node, target.constant, stack, is_jump=True)

    def _meet_dynamic(self, *, is_computed: bool) -> None:
        if not self.has_dynamic:
            self.has_dynamic = True
            for pc in sorted(self.escaped):
                self.enter_from_outside(pc)
        if is_computed and not self.has_computed:
            self.has_computed = True
            if len(self.program.destinations) <= DESTINATIONS_MAX:
                for pc in sorted(self.program.destinations):
                    self.enter_from_outside(pc)

    def _go(self, node: Node, pc: int, stack: list[Fact], *, is_jump: bool) -> None:
        block = self.program.blocks[pc]
        context: Context = ()
        if block.end is not End.HALT:
            context = self._context(stack)
        is_call = is_jump and node.blocks[0].end is End.JUMP and self._is_call(node.blocks[0], context)
        if len(context) > CONTEXT_MAX or (is_call and not self._may_inline(pc)):
            self.escape(stack)
            self.enter_from_outside(pc)
            if is_jump:
                node.exit.crossing_pc = pc
            else:
                node.exit.next_crossing_pc = pc
            return
        target = self.enter(pc, context, stack)
        if is_jump:
            node.exit.taken = target
        else:
            node.exit.next = target

    def _context(self, stack: list[Fact]) -> Context:
        if not self.candidates:
            return ()
        top = len(stack)
        return tuple(
            (top - position, fact.constant)
            for position, fact in enumerate(stack[-KNOWN_DEPTH_MAX:], max(0, top - KNOWN_DEPTH_MAX))
            if fact.constant is not None and fact.constant in self.candidates
        )

    def _is_call(self, block: Block, context: Context) -> bool:
        pushed = {instruction.immediate for instruction in block.instructions if instruction.immediate is not None}
        return any(address == block.next_pc or address in pushed for _, address in context)

    def _may_inline(self, pc: int) -> bool:
        known = self.inlinable.get(pc)
        if known is None:
            self.inlinable[pc] = False  # recursion is not inlined
            known = self.call_counts.get(pc, 0) == 1 or self._is_small(pc)
            self.inlinable[pc] = known
        return known

    def _is_small(self, pc: int) -> bool:
        """Whether a function, with all that it calls inlined, has few enough instructions and does not suspend."""
        seen: set[tuple[int, Context]] = set()
        pending: list[tuple[int, list[Fact]]] = [(pc, [])]
        size = 0
        while pending:
            at, entry = pending.pop()
            key = (at, self._context(entry))
            if key in seen:
                continue
            seen.add(key)
            block = self.program.blocks[at]
            if block.end is End.HALT:
                continue
            size += len(block.instructions)
            if size > self.inline_size or block.end is End.CALL or len(key[1]) > CONTEXT_MAX:
                return False
            stack, target, _ = run_block(block, entry, self.program)
            if block.end in (End.FALL, End.BRANCH):
                pending.append((block.next_pc, stack))
            if block.end in (End.JUMP, End.BRANCH) and target.constant in self.program.destinations:
                pending.append((target.constant, stack))
        return True

    def _result(self) -> Flow:
        reached: dict[int, Node] = {}
        pending = [node for node in self.nodes.values() if node.is_external]
        while pending:
            node = pending.pop()
            if id(node) not in reached:
                reached[id(node)] = node
                pending += node.exit.successors()
        nodes = sorted(reached.values(), key=lambda node: (node.pc, node.context))
        entries = sorted({node.pc for node in nodes if node.is_external})
        targets = (
            frozenset(pc for pc in entries if pc in self.program.destinations) if self.has_dynamic else frozenset()
        )
        return Flow(merge_runs(nodes), entries, targets)


def _return_candidates(program: Program) -> frozenset[int]:
    """Jump destinations that are pushed, but not for the jump that follows at once."""
    direct_widths: set[int] = set()
    pushes: list[tuple[int, int]] = []
    for block in program.blocks.values():
        for position, instruction in enumerate(block.instructions):
            if instruction.immediate is None or not is_push(instruction.opcode):
                continue
            width = instruction.opcode - Op.PUSH0
            following = block.instructions[position + 1].opcode if position + 1 < len(block.instructions) else None
            if following in (Op.JUMP, Op.JUMPI):
                direct_widths.add(width)
            elif instruction.immediate in program.destinations:
                pushes.append((width, instruction.immediate))
    return frozenset(address for width, address in pushes if width in direct_widths or not direct_widths)


def _call_counts(program: Program) -> dict[int, int]:
    """How often each destination is jumped to directly, from anywhere."""
    counts: dict[int, int] = {}
    for block in program.blocks.values():
        if block.end in (End.JUMP, End.BRANCH) and len(block.instructions) > 1:
            target = block.instructions[-2].immediate
            if target is not None:
                counts[target] = counts.get(target, 0) + 1
    return counts


def analyse(program: Program, *, inline_size: int = 0, instructions_max: int = 20_000) -> Flow:
    """
    Find the nodes of a program.

    Parameters
    ----------
    inline_size : instructions up to which a function is inlined at every call; -1: nothing is known about
        return addresses at all.
    instructions_max : bound on the instructions of all nodes, copies included.

    Raises
    ------
    FlowTooLarge : there would be more nodes.
    """
    return _Analysis(program, inline_size=inline_size, instructions_max=instructions_max).run()
