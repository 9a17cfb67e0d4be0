"""The compiler's intermediate forms, for readers and for programs."""

from __future__ import annotations

from typing import Any

from metis.vm.compiler.decode import decode
from metis.vm.compiler.frames import Placed
from metis.vm.compiler.opcodes import opcode_table
from metis.vm.compiler.pipeline import Plan
from metis.vm.compiler.sections import Sections, find_sections

__all__ = ["disassembly", "node_text", "plan_object"]


def disassembly(code: bytes, fork: str) -> list[dict[str, Any]]:
    """
    Return the instructions: pc, opcode (its name, or its number where the fork has none), immediate or None.

    Raises
    ------
    GenesisError : the engine has no such fork.
    """
    table = opcode_table(fork)
    return [
        {
            "pc": instruction.pc,
            "opcode": table.names[instruction.opcode]
            if table.active[instruction.opcode]
            else f"{instruction.opcode:#04x}",
            "immediate": None if instruction.immediate is None else f"{instruction.immediate:#x}",
        }
        for instruction in decode(code)
        if instruction.pc < len(code)
    ]


def plan_object(plan: Plan) -> list[dict[str, Any]]:
    """Return the regions: index, instructions, entries, and their nodes."""
    regions = []
    for region in plan.regions:
        sections = find_sections(region.nodes, plan.program.table)
        regions.append(
            {
                "index": region.index,
                "instructions": region.size,
                "entries": [item.node.pc for item in region.nodes if item.node.is_external],
                "nodes": [_node(item, sections) for item in region.nodes],
            }
        )
    return regions


def _node(item: Placed, sections: Sections) -> dict[str, Any]:
    node = item.node
    targets = [target.node.pc for target in (item.taken, item.next) if target is not None]
    targets += [pc for pc in (node.exit.crossing_pc, node.exit.next_crossing_pc) if pc is not None]
    is_checked = id(item) in sections.checked or item.is_entered
    return {
        "first_pc": node.pc,
        "last_pc": node.blocks[-1].instructions[-1].pc,
        "end": node.end.value,
        "returns_to": [address for _, address in node.context],
        "is_entered": item.is_entered,
        "checked_gas": sections.head[id(item)] if is_checked else None,
        "stack": [item.height, item.end_height],
        "targets": targets,
        "has_unknown_target": node.exit.is_dynamic,
        "has_invalid_target": node.exit.is_invalid,
    }


def node_text(node: dict[str, Any]) -> str:
    """Write one node of :func:`plan_object` as a line."""
    parts = [f"  {node['first_pc']:5}..{node['last_pc']:<5} {node['end']}"]
    if node["returns_to"]:
        parts.append("returns to " + ", ".join(str(address) for address in node["returns_to"]))
    if node["is_entered"]:
        parts.append("entered through memory")
    if node["checked_gas"] is not None:
        parts.append(f"checks {node['checked_gas']} gas")
    parts.append("stack {} to {}".format(*node["stack"]))
    goes = [str(pc) for pc in node["targets"]]
    goes += ["an unknown target"] * node["has_unknown_target"] + ["no JUMPDEST"] * node["has_invalid_target"]
    if goes:
        parts.append("to " + ", ".join(goes))
    return "; ".join(parts)
