"""PUSH, DUP, SWAP and POP: names move, no machine code is made."""

from __future__ import annotations

from metis.vm.compiler.emit.machine import Machine, constant_word

__all__ = ["duplicate", "pop", "push", "swap"]


def push(machine: Machine, immediate: int) -> None:
    """Emit PUSH0…PUSH32."""
    machine.push(constant_word(immediate))


def duplicate(machine: Machine, depth: int) -> None:
    """Emit DUPn, n = ``depth``."""
    machine.push(machine.peek(depth - 1))


def swap(machine: Machine, depth: int) -> None:
    """Emit SWAPn, n = ``depth``."""
    state = machine.state
    top, other = machine.peek(0), machine.peek(depth)
    state.stack[state.height - 1], state.stack[state.height - 1 - depth] = other, top


def pop(machine: Machine) -> None:
    """Emit POP."""
    machine.drop(1)
