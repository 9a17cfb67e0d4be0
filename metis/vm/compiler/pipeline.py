"""
All stages in a row: bytecode → artifact, or a reason why not.

Every stage is bounded before it begins: code by its size, the flow by its instructions, LLVM by an estimate of
its time made before it sees any. What would cost too much is refused within milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from metis.engine import machine_target
from metis.vm.compiler.artifact import Artifact, pack
from metis.vm.compiler.blocks import Program, read_program
from metis.vm.compiler.cost import estimate_ms
from metis.vm.compiler.emit.module import emit_module
from metis.vm.compiler.flow import FlowTooLarge, analyse
from metis.vm.compiler.frames import place
from metis.vm.compiler.nodes import Flow
from metis.vm.compiler.opcodes import opcode_table
from metis.vm.compiler.options import Options
from metis.vm.compiler.regions import Region, partition

__all__ = ["Plan", "Refusal", "compile_code", "plan_code", "target_cpu"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a contract is not compiled."""

    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be compiled: everything before LLVM."""

    program: Program
    flow: Flow
    regions: list[Region]

    @property
    def entries(self) -> dict[int, int]:
        """Program counter → region that it enters."""
        return {item.node.pc: region.index for region in self.regions for item in region.nodes if item.node.is_external}

    @property
    def size(self) -> int:
        """Instructions, inlined copies included."""
        return sum(region.size for region in self.regions)

    def ir(self) -> str:
        """Return the plan as LLVM IR."""
        program = self.program
        return emit_module(self.regions, program.table, len(program.code), self.flow.dynamic_targets)


def target_cpu() -> str:
    """Return the CPU, in LLVM's words, that the engine takes code for."""
    return machine_target().partition(" ")[2]


def plan_code(code: bytes, fork: str, options: Options) -> Plan | Refusal:
    """Decide what to compile, or say why nothing is."""
    if len(code) > options.code_size_max:
        return Refusal(f"code of {len(code)} bytes, at most {options.code_size_max}")
    program = read_program(code, opcode_table(fork))
    *larger, least = options.inline_sizes
    flow = _flow(program, least, options)
    if flow is None:
        return Refusal(f"more than {options.instructions_max} instructions to compile")
    cost_ms = estimate_ms(flow, program.table)
    if cost_ms > options.cost_ms_max:
        return Refusal(f"would take about {cost_ms:.0f} ms to compile, at most {options.cost_ms_max:.0f}")
    for inline_size in larger:
        inlined = _flow(program, inline_size, options)
        if inlined is not None and estimate_ms(inlined, program.table) <= options.inlined_cost_ms_max:
            flow = inlined
            break
    return Plan(program, flow, partition(place(flow, program.table), options.region_size))


def _flow(program: Program, inline_size: int, options: Options) -> Flow | None:
    try:
        return analyse(program, inline_size=inline_size, instructions_max=options.instructions_max)
    except FlowTooLarge:
        return None


def compile_code(code: bytes, fork: str, options: Options | None = None) -> Artifact | Refusal:
    """
    Compile a contract's code for a fork.

    Raises
    ------
    GenesisError : the engine has no such fork.
    """
    from metis.vm.compiler import llvm

    options = options or Options()
    plan = plan_code(code, fork, options)
    if isinstance(plan, Refusal):
        return plan
    machine_code = llvm.compile_object(plan.ir(), target_cpu(), options.level)
    return pack(code, fork, plan.entries, len(plan.regions), machine_code)
