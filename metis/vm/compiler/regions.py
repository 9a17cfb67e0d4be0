"""
Which nodes become one machine function.

LLVM's time grows faster than a function's size, and a call between functions of one contract costs a few
nanoseconds, so nodes are packed into regions of bounded size. A frame is never torn; frames that follow
each other in the code, as a contract's functions do, stay together.
"""

from __future__ import annotations

from dataclasses import dataclass

from metis.vm.compiler.frames import Placed

__all__ = ["Region", "partition"]


@dataclass(frozen=True, slots=True)
class Region:
    """One machine function: its number and its nodes."""

    index: int
    nodes: tuple[Placed, ...]

    @property
    def size(self) -> int:
        """Number of instructions."""
        return sum(item.node.size for item in self.nodes)


def partition(nodes: list[Placed], size_max: int) -> list[Region]:
    """Pack nodes, in the order of their positions, into regions of about ``size_max`` instructions."""
    units = _units(nodes)
    regions: list[Region] = []
    current: list[Placed] = []
    size = 0
    for unit in units:
        unit_size = sum(item.node.size for item in unit)
        if current and size + unit_size > size_max:
            regions.append(Region(len(regions), tuple(current)))
            current, size = [], 0
        current += unit
        size += unit_size
    regions.append(Region(len(regions), tuple(current)))
    return regions


def _units(nodes: list[Placed]) -> list[list[Placed]]:
    """Frames, joined where a node that is no entry of the contract is entered from another frame."""
    leader: dict[int, int] = {}

    def find(frame: int) -> int:
        while leader.setdefault(frame, frame) != frame:
            leader[frame] = leader[leader[frame]]
            frame = leader[frame]
        return frame

    for item in nodes:
        for target, crosses in ((item.taken, item.taken_crosses), (item.next, item.next_crosses)):
            if target is not None and crosses and not target.node.is_external:
                leader[find(id(item.frame))] = find(id(target.frame))
    units: dict[int, list[Placed]] = {}
    for item in nodes:
        units.setdefault(find(id(item.frame)), []).append(item)
    return sorted(units.values(), key=lambda unit: unit[0].node.pc)
