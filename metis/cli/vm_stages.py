"""``metis vm disasm | blocks | ir | asm``: every stage between bytecode and machine code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from metis.cli.vm_code import read_code

if TYPE_CHECKING:
    from metis.vm.compiler.pipeline import Plan

__all__ = ["asm", "blocks", "disasm", "ir"]

Target = Annotated[str, typer.Argument(help="Bytecode as hex, or a .hex file.", show_default=False)]
Fork = Annotated[str, typer.Option(help="Rules to compile for.")]
Level = Annotated[int, typer.Option(min=0, max=2, help="LLVM's optimisation level.")]

FORK_DEFAULT = "Osaka"


def disasm(target: Target, fork: Fork = FORK_DEFAULT) -> None:
    """
    Show bytecode as instructions: position, opcode, what is pushed.

    Opcodes that the fork does not have are shown by their number.
    """
    from metis.vm.compiler.stages import disassembly

    typer.echo(disassembly(read_code(target), fork))


def blocks(target: Target, fork: Fork = FORK_DEFAULT) -> None:
    """
    Show what the compiler knows before it writes code.

    Each line is a node: a run of blocks in a context of known return addresses, with its stack words,
    the gas that is checked at its start, and where it goes. Exit code 1 when the code is refused.
    """
    from metis.vm.compiler.stages import describe_plan

    typer.echo(describe_plan(_plan(target, fork)))


def ir(
    target: Target,
    fork: Fork = FORK_DEFAULT,
    optimise: Annotated[bool, typer.Option("--optimised", help="Show it after LLVM's passes.")] = False,
    level: Level = 2,
) -> None:
    """
    Show the LLVM IR that bytecode becomes.

    Exit code 1 when the code is refused.
    """
    from metis.vm.compiler import llvm
    from metis.vm.compiler.pipeline import target_cpu

    text = _plan(target, fork).ir()
    typer.echo(llvm.optimised(text, target_cpu(), level) if optimise else text)


def asm(
    target: Target,
    fork: Fork = FORK_DEFAULT,
    level: Level = 2,
    cpu: Annotated[str | None, typer.Option(help="LLVM's name of a CPU; default: this machine's level.")] = None,
) -> None:
    """
    Show the machine code that bytecode becomes, as assembly.

    Exit code 1 when the code is refused.
    """
    from metis.vm.compiler import llvm
    from metis.vm.compiler.pipeline import target_cpu

    typer.echo(llvm.assembly(_plan(target, fork).ir(), cpu or target_cpu(), level))


def _plan(target: str, fork: str) -> Plan:
    from metis.vm.compiler.options import Options
    from metis.vm.compiler.pipeline import Refusal, plan_code

    plan = plan_code(read_code(target), fork, Options())
    if isinstance(plan, Refusal):
        typer.echo(f"not compiled: {plan.reason}", err=True)
        raise typer.Exit(1)
    return plan
