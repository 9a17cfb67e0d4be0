"""``metis vm disasm | blocks | ir | asm``: every stage between bytecode and machine code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from metis.cli.output import write_json
from metis.cli.vm_code import read_code

if TYPE_CHECKING:
    from metis.vm.compiler.pipeline import Plan

__all__ = ["asm", "blocks", "disasm", "ir"]

Target = Annotated[str, typer.Argument(help="Bytecode as hex, or a .hex file.", show_default=False)]
Fork = Annotated[str, typer.Option(help="Rules to compile for.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Level = Annotated[int, typer.Option(min=0, max=2, help="LLVM's optimisation level.")]

FORK_DEFAULT = "Osaka"


def disasm(target: Target, fork: Fork = FORK_DEFAULT, as_json: AsJson = False) -> None:
    """
    Show bytecode as instructions: position, opcode, what is pushed.

    Opcodes that the fork does not have are shown by their number. With --json: {"instructions":
    [{"pc", "opcode", "immediate"}]}.
    """
    from metis.vm.compiler.stages import disassembly

    instructions = disassembly(read_code(target), fork)
    if as_json:
        write_json({"instructions": instructions})
        return
    for instruction in instructions:
        pushed = "" if instruction["immediate"] is None else f" {instruction['immediate']}"
        typer.echo(f"{instruction['pc']:6}  {instruction['opcode']}{pushed}")


def blocks(target: Target, fork: Fork = FORK_DEFAULT, as_json: AsJson = False) -> None:
    """
    Show what the compiler knows before it writes code.

    Each line is a node: a run of blocks in a context of known return addresses, with its stack words,
    the gas that is checked at its start, and where it goes. With --json: {"regions": [{"index",
    "instructions", "entries", "nodes"}]}. Exit code 1 when the code is refused.
    """
    from metis.vm.compiler.stages import node_text, plan_object

    regions = plan_object(_plan(target, fork))
    if as_json:
        write_json({"regions": regions})
        return
    for region in regions:
        entries = " ".join(str(pc) for pc in region["entries"])
        typer.echo(f"region {region['index']}: {region['instructions']} instructions, entries {entries}")
        for node in region["nodes"]:
            typer.echo(node_text(node))


def ir(
    target: Target,
    fork: Fork = FORK_DEFAULT,
    optimise: Annotated[bool, typer.Option("--optimised", help="Show it after LLVM's passes.")] = False,
    level: Level = 2,
    as_json: AsJson = False,
) -> None:
    """
    Show the LLVM IR that bytecode becomes.

    With --json: {"ir": text}. Exit code 1 when the code is refused.
    """
    from metis.vm.compiler import llvm
    from metis.vm.compiler.pipeline import target_cpu

    text = _plan(target, fork).ir()
    _show("ir", llvm.optimised(text, target_cpu(), level) if optimise else text, as_json=as_json)


def asm(
    target: Target,
    fork: Fork = FORK_DEFAULT,
    level: Level = 2,
    cpu: Annotated[str | None, typer.Option(help="LLVM's name of a CPU; default: this machine's level.")] = None,
    as_json: AsJson = False,
) -> None:
    """
    Show the machine code that bytecode becomes, as assembly.

    With --json: {"asm": text}. Exit code 1 when the code is refused.
    """
    from metis.vm.compiler import llvm
    from metis.vm.compiler.pipeline import target_cpu

    _show("asm", llvm.assembly(_plan(target, fork).ir(), cpu or target_cpu(), level), as_json=as_json)


def _show(name: str, text: str, *, as_json: bool) -> None:
    if as_json:
        write_json({name: text})
    else:
        typer.echo(text)


def _plan(target: str, fork: str) -> Plan:
    from metis.vm.compiler.options import Options
    from metis.vm.compiler.pipeline import Refusal, plan_code

    plan = plan_code(read_code(target), fork, Options())
    if isinstance(plan, Refusal):
        typer.echo(f"not compiled: {plan.reason}", err=True)
        raise typer.Exit(1)
    return plan
