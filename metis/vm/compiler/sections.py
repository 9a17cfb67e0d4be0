"""
Sections: how much gas one check covers.

A check stands where a frame is entered, at the head of a loop and behind every step; it covers the static
gas of the dearest way from there to the next check, so the code between needs none. Too little gas for the
dearest way means leaving to tier 0, which is always exact, even where a cheaper way would have been taken;
the cover is bounded, so that only a frame near its end leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from metis.vm.compiler.frames import Placed
from metis.vm.compiler.opcodes import OpcodeTable

__all__ = ["COVER_MAX", "MEMORY_RESERVE", "RESERVED_MEMORY_BYTES", "Sections", "find_sections"]

COVER_MAX: Final = 3000
"""BOUND: static gas that one check covers."""


RESERVED_MEMORY_BYTES: Final = 1024
"""Memory below this, at known offsets, is paid for by what every check holds in reserve."""

MEMORY_RESERVE: Final = 3 * (RESERVED_MEMORY_BYTES // 32) + (RESERVED_MEMORY_BYTES // 32) ** 2 // 512
"""SPEC: Yellow Paper, eq. for C_mem: gas to grow memory from nothing to the reserved size."""


@dataclass(frozen=True, slots=True)
class Sections:
    """
    Where checks stand in a region.

    Attributes
    ----------
    checked : nodes (by ``id``) that begin with a check of their own.
    head : node → gas that must be covered at its start.
    tail : node → gas beyond its own last section that the check there covers.
    """

    checked: frozenset[int]
    head: dict[int, int]
    tail: dict[int, int]


def section_costs(item: Placed, table: OpcodeTable) -> list[int]:
    """Return the static gas of each run of open-coded instructions, split at the steps."""
    costs = [0]
    for instruction in item.instructions():
        if table.is_open_coded(instruction.opcode):
            costs[-1] += table.static_gas[instruction.opcode]
        else:
            costs.append(0)
    return costs


def find_sections(nodes: tuple[Placed, ...], table: OpcodeTable) -> Sections:
    """Place the checks; linear in nodes and edges."""
    checked: set[int] = set()
    head: dict[int, int] = {}
    tail: dict[int, int] = {}
    state: dict[int, int] = {}
    for root in nodes:
        if id(root) in state:
            continue
        pending: list[tuple[Placed, int]] = [(root, 0)]
        state[id(root)] = 1
        while pending:
            item, position = pending.pop()
            if position < len(item.successors):
                pending.append((item, position + 1))
                successor = item.successors[position]
                if id(successor) not in state:
                    state[id(successor)] = 1
                    pending.append((successor, 0))
                elif state[id(successor)] == 1:
                    checked.add(id(successor))  # the edge closes a loop
                continue
            state[id(item)] = 2
            _finish(item, table, checked, head, tail)
    return Sections(frozenset(checked), head, tail)


def _finish(item: Placed, table: OpcodeTable, checked: set[int], head: dict[int, int], tail: dict[int, int]) -> None:
    key = id(item)
    behind = [head[id(successor)] for successor in item.successors if id(successor) not in checked]
    tail[key] = max(behind, default=0)
    costs = section_costs(item, table)
    head[key] = costs[0] + (tail[key] if len(costs) == 1 else 0)
    if head[key] > COVER_MAX:
        checked.add(key)
