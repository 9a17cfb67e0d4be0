"""The compiler's intermediate forms as text, for readers."""

from __future__ import annotations

from metis.vm.compiler.decode import decode
from metis.vm.compiler.frames import Placed
from metis.vm.compiler.opcodes import opcode_table
from metis.vm.compiler.pipeline import Plan
from metis.vm.compiler.sections import Sections, find_sections

__all__ = ["describe_plan", "disassembly"]


def disassembly(code: bytes, fork: str) -> str:
    """
    Return one line per instruction: position, name, what is pushed.

    Raises
    ------
    GenesisError : the engine has no such fork.
    """
    table = opcode_table(fork)
    lines = []
    for instruction in decode(code):
        if instruction.pc >= len(code):
            break
        name = table.names[instruction.opcode] if table.active[instruction.opcode] else f"{instruction.opcode:#04x}"
        pushed = f" {instruction.immediate:#x}" if instruction.immediate is not None else ""
        lines.append(f"{instruction.pc:6}  {name}{pushed}")
    return "\n".join(lines)


def describe_plan(plan: Plan) -> str:
    """Return regions and nodes, one line per node."""
    lines = []
    for region in plan.regions:
        entries = [str(item.node.pc) for item in region.nodes if item.node.is_external]
        lines.append(f"region {region.index}: {region.size} instructions, entries {' '.join(entries)}")
        sections = find_sections(region.nodes, plan.program.table)
        lines += [_describe(item, sections) for item in region.nodes]
    return "\n".join(lines)


def _describe(item: Placed, sections: Sections) -> str:
    node = item.node
    parts = [f"  {node.pc:5}..{node.blocks[-1].instructions[-1].pc:<5} {node.end.value}"]
    if node.context:
        parts.append("returns to " + ", ".join(str(address) for _, address in node.context))
    if item.is_entered:
        parts.append("entered through memory")
    if id(item) in sections.checked or item.is_entered:
        parts.append(f"checks {sections.head[id(item)]} gas")
    parts.append(f"stack {item.height} to {item.end_height}")
    goes = [str(target.node.pc) for target in (item.taken, item.next) if target is not None]
    goes += [str(pc) for pc in (node.exit.crossing_pc, node.exit.next_crossing_pc) if pc is not None]
    if node.exit.is_dynamic:
        goes.append("an unknown target")
    if node.exit.is_invalid:
        goes.append("no JUMPDEST")
    if goes:
        parts.append("to " + ", ".join(goes))
    return "; ".join(parts)
