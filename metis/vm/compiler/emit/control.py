"""How a node ends: jumps inside its frame, through memory to another frame, to another region, or unresolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metis.vm.compiler.abi import CAUSE_JUMP
from metis.vm.compiler.blocks import End
from metis.vm.compiler.emit.machine import Machine, State, Word
from metis.vm.compiler.emit.writer import LIKELY, UNLIKELY
from metis.vm.compiler.frames import Placed
from metis.vm.compiler.opcodes import Op

if TYPE_CHECKING:
    from metis.vm.compiler.emit.function import FunctionEmitter

__all__ = ["DynamicJump", "Edge", "end_node"]


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge into a node that has several: where from, and the values of the target's phis."""

    label: str
    gas: str
    base: str
    words: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DynamicJump:
    """An unresolved jump: its block, and values that the shared switch needs."""

    label: str
    target: str
    pc: str
    top: str
    top_before: str
    gas: str
    gas_before: str


def end_node(emitter: FunctionEmitter, item: Placed) -> None:
    """Emit what follows the last instruction of a node; the jump's operands are still on the stack."""
    machine = emitter.machine
    end = item.node.end
    if end is End.FALL:
        _go_next(emitter, item)
    elif end is End.JUMP:
        _take(emitter, item, 1)
    elif end is End.BRANCH:
        _branch(emitter, item)
    else:
        raise AssertionError(f"{end} does not fall through at {machine.pc}")


def _branch(emitter: FunctionEmitter, item: Placed) -> None:
    machine, writer = emitter.machine, emitter.machine.writer
    exit_ = item.node.exit
    may_jump = exit_.taken is not None or exit_.crossing_pc is not None or exit_.is_dynamic or exit_.is_invalid
    may_go_on = exit_.next is not None or exit_.next_crossing_pc is not None
    if not may_jump:
        machine.drop(2)
        _go_next(emitter, item)
        return
    if not may_go_on:
        _take(emitter, item, 2)
        return
    condition = _truth(machine, machine.peek(1))
    taken, following = writer.new_label(), writer.new_label()
    hint = ""
    if exit_.is_invalid or _is_failing(item.taken):
        hint = f", {UNLIKELY}"
    elif _is_failing(item.next):
        hint = f", {LIKELY}"
    writer.line(f"br i1 {condition}, label %{taken}, label %{following}{hint}")
    before = machine.state.copy()
    writer.begin(taken)
    _take(emitter, item, 2)
    machine.state = before
    writer.begin(following)
    machine.drop(2)
    _go_next(emitter, item)


def _is_failing(target: Placed | None) -> bool:
    return target is not None and target.instructions()[-1].opcode in (Op.REVERT, Op.INVALID)


def _truth(machine: Machine, word: Word) -> str:
    if word.width == 1 and word.fact.constant is None:
        return word.text
    width = word.width if word.fact.constant is None else 256
    return machine.writer.let(f"icmp ne i{width} {machine.at(word, width)}, 0")


def _take(emitter: FunctionEmitter, item: Placed, operands: int) -> None:
    """Emit the jump of JUMP (one operand) or JUMPI (two)."""
    machine, exit_ = emitter.machine, item.node.exit
    if exit_.is_invalid:
        machine.deoptimise(CAUSE_JUMP)
    elif exit_.is_dynamic:
        _jump_unresolved(emitter, operands)
    else:
        machine.drop(operands)
        if exit_.taken is not None and item.taken is not None:
            _go(emitter, item.taken, crosses=item.taken_crosses)
        elif exit_.crossing_pc is not None:
            emitter.cross_to_pc(exit_.crossing_pc)
        else:
            raise AssertionError(f"jump without a target at {machine.pc}")


def _go_next(emitter: FunctionEmitter, item: Placed) -> None:
    exit_ = item.node.exit
    if exit_.next is not None and item.next is not None:
        _go(emitter, item.next, crosses=item.next_crosses)
    elif exit_.next_crossing_pc is not None:
        emitter.cross_to_pc(exit_.next_crossing_pc)
    else:
        raise AssertionError(f"no next node at {emitter.machine.pc}")


def _go(emitter: FunctionEmitter, target: Placed, *, crosses: bool) -> None:
    if crosses:
        emitter.cross_to(target)
    elif emitter.is_join(target):
        emitter.edge_to(target)
    else:
        label = emitter.label_of(target)
        emitter.machine.writer.line(f"br label %{label}")
        emitter.follow(target, emitter.machine.state.copy())


def _jump_unresolved(emitter: FunctionEmitter, operands: int) -> None:
    """Write everything back and go to the switch that all unresolved jumps of the region share."""
    machine, writer = emitter.machine, emitter.machine.writer
    target = machine.peek(0)
    wide = machine.wide(target)
    fits = writer.let(f"icmp ult i256 {wide}, {1 << 31}")
    number = writer.let(f"select i1 {fits}, i32 {machine.at(target, 32)}, i32 -1")
    machine.write_back()
    before, gas_before = machine.top(), machine.gas_before()
    height = machine.state.height - operands
    top = machine.slot_address(height)
    emitter.dynamic_jumps.append(
        DynamicJump(writer.label, number, str(machine.pc), top, before, machine.gas_now(), gas_before)
    )
    writer.line("br label %jump")


def fresh_state(height: int, gas: str, base: str) -> State:
    """Return a state of which nothing is known but its height."""
    return State({}, {}, height, gas, base)
