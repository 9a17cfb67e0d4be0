"""
Stack heights: which nodes share a frame, and where in it each stack word is.

A frame is a set of nodes whose stack heights are known relative to each other; its slots are numbered
from an arbitrary origin. Inside a frame stack words are SSA values and are not written to memory; an edge
whose heights disagree, and every entry from outside, goes through memory. Bounds of the stack are checked
once, where a frame is entered, for all that its nodes may do.

Linear in nodes and instructions, but for the two data-flow passes, which go round until nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from metis.vm.compiler.decode import Instruction
from metis.vm.compiler.nodes import Flow, Node
from metis.vm.compiler.opcodes import Op, OpcodeTable

__all__ = ["Frame", "Placed", "place", "stack_use"]


class Frame:
    """Nodes whose heights are known relative to each other; only its identity matters."""


@dataclass(slots=True, eq=False)
class Placed:
    """
    A node in its frame.

    Attributes
    ----------
    height : the stack's height at the start, in slots of the frame.
    end_height : and at the end.
    used : slots read before they are written.
    written : slots that the node leaves changed.
    popped_to : lowest height on the way; slots from there up are not what they were.
    lowest : lowest slot that this node, or one that can follow it in the frame, looks at or takes.
    highest : largest height that any of them reaches.
    live : slots whose values must be known at the start.
    dirty : slots whose memory may be stale at the start.
    predecessors : edges from nodes of the same frame, one per edge.
    is_entered : reached through memory: from outside, or from a frame of other heights.
    """

    node: Node
    frame: Frame
    height: int = 0
    end_height: int = 0
    used: frozenset[int] = frozenset()
    written: frozenset[int] = frozenset()
    popped_to: int = 0
    lowest: int = 0
    highest: int = 0
    live: frozenset[int] = frozenset()
    dirty: frozenset[int] = frozenset()
    predecessors: list[Placed] = field(default_factory=list)
    successors: list[Placed] = field(default_factory=list)
    is_entered: bool = False
    taken: Placed | None = None
    next: Placed | None = None
    taken_crosses: bool = False
    next_crosses: bool = False

    def instructions(self) -> list[Instruction]:
        """All instructions, in order of execution."""
        return [instruction for block in self.node.blocks for instruction in block.instructions]


def stack_use(opcode: int, table: OpcodeTable) -> tuple[int, int, int]:
    """Return how many words an opcode looks at, takes and gives."""
    if Op.DUP1 <= opcode <= Op.DUP16:
        return opcode - Op.DUP1 + 1, 0, 1
    if Op.SWAP1 <= opcode <= Op.SWAP16:
        return opcode - Op.SWAP1 + 2, 0, 0
    if not table.active[opcode]:
        return 0, 0, 0
    return table.inputs[opcode], table.inputs[opcode], table.outputs[opcode]


def place(flow: Flow, table: OpcodeTable) -> list[Placed]:
    """Give every node its frame, heights and the facts about its slots."""
    placed = {id(node): Placed(node, Frame()) for node in flow.nodes}
    order = list(placed.values())
    deltas = {id(item): _delta(item.node, table) for item in order}
    incoming: dict[int, list[Placed]] = {}
    for item in order:
        for node in item.node.exit.successors():
            incoming.setdefault(id(placed[id(node)]), []).append(item)
    is_set: set[int] = set()
    for start in order:
        if id(start) not in is_set:
            _spread(start, placed, deltas, incoming, is_set)
    for item in order:
        _connect(item, placed)
        item.is_entered |= item.node.is_external
        _summarise(item, table)
    _flow_bounds(order)
    _flow_dirty(order)
    _flow_live(order)
    return order


def _delta(node: Node, table: OpcodeTable) -> int:
    total = 0
    for block in node.blocks:
        for instruction in block.instructions:
            _, takes, gives = stack_use(instruction.opcode, table)
            total += gives - takes
    return total


def _spread(
    start: Placed,
    placed: dict[int, Placed],
    deltas: dict[int, int],
    incoming: dict[int, list[Placed]],
    is_set: set[int],
) -> None:
    """Give one frame to all that is connected with ``start``, along edges in either direction."""
    pending = [start]
    is_set.add(id(start))
    while pending:
        item = pending.pop()
        item.end_height = item.height + deltas[id(item)]
        for node in item.node.exit.successors():
            target = placed[id(node)]
            if id(target) not in is_set:
                is_set.add(id(target))
                target.frame, target.height = item.frame, item.end_height
                pending.append(target)
        for source in incoming.get(id(item), ()):
            if id(source) not in is_set:
                is_set.add(id(source))
                source.frame, source.height = item.frame, item.height - deltas[id(source)]
                pending.append(source)


def _connect(item: Placed, placed: dict[int, Placed]) -> None:
    """Make the edges of one node, now that heights are known."""
    taken, following = item.node.exit.taken, item.node.exit.next
    if taken is not None:
        item.taken = placed[id(taken)]
        item.taken_crosses = _edge(item, item.taken)
    if following is not None:
        item.next = placed[id(following)]
        item.next_crosses = _edge(item, item.next)


def _edge(item: Placed, target: Placed) -> bool:
    if target.frame is not item.frame or target.height != item.end_height:
        target.is_entered = True
        return True
    item.successors.append(target)
    target.predecessors.append(item)
    return False


def _summarise(item: Placed, table: OpcodeTable) -> None:
    height = lowest_height = item.height
    used: set[int] = set()
    written: set[int] = set()
    clean: set[int] = set()
    lowest = highest = height
    for instruction in item.instructions():
        opcode = instruction.opcode
        looks, takes, gives = stack_use(opcode, table)
        lowest = min(lowest, height - looks)
        if opcode == Op.POP:
            pass
        elif Op.DUP1 <= opcode <= Op.DUP16:
            used |= {height - looks} - written - clean
        elif Op.SWAP1 <= opcode <= Op.SWAP16:
            pair = {height - looks, height - 1}
            used |= pair - written - clean
            written |= pair
            clean -= pair
        else:
            used |= set(range(height - takes, height)) - written - clean
        height -= takes
        lowest_height = min(lowest_height, height)
        given = set(range(height, height + gives))
        height += gives
        highest = max(highest, height)
        if table.is_open_coded(opcode) and not Op.SWAP1 <= opcode <= Op.SWAP16:
            written |= given
            clean -= given
        else:
            # A step leaves its results in memory.
            written -= given
            clean |= given
    item.lowest, item.highest = lowest, highest
    item.used = frozenset(used)
    item.written = frozenset(slot for slot in written if slot < height)
    item.popped_to = lowest_height


def _flow_bounds(order: list[Placed]) -> None:
    pending = list(order)
    while pending:
        item = pending.pop()
        for predecessor in item.predecessors:
            if item.lowest < predecessor.lowest or item.highest > predecessor.highest:
                predecessor.lowest = min(predecessor.lowest, item.lowest)
                predecessor.highest = max(predecessor.highest, item.highest)
                pending.append(predecessor)


def _flow_dirty(order: list[Placed]) -> None:
    pending = list(order)
    while pending:
        item = pending.pop()
        leaving = {slot for slot in item.dirty if slot < item.popped_to} | item.written
        for successor in item.successors:
            if not leaving <= successor.dirty:
                successor.dirty |= leaving
                pending.append(successor)


def _flow_live(order: list[Placed]) -> None:
    waiting = {id(item) for item in order}
    pending = list(order)
    while pending:
        item = pending.pop()
        waiting.discard(id(item))
        live = set(item.used) | item.dirty
        for successor in item.successors:
            live |= {slot for slot in successor.live if slot < item.popped_to and slot not in item.written}
        live = {slot for slot in live if slot < item.height}
        if live != item.live:
            item.live = frozenset(live)
            for predecessor in item.predecessors:
                if id(predecessor) not in waiting:
                    waiting.add(id(predecessor))
                    pending.append(predecessor)
