"""
LLVM IR → object code, by llvmlite; the only module that imports it.

The target is the engine's (`machine_target`), not "this machine": the same code comes out wherever the CPU
has the same level of x86-64. The pass pipeline is short on purpose; what each part brings is measured in
docs/benchmarks.md.
"""

from __future__ import annotations

import functools
from typing import Any

import llvmlite.binding as llvm

__all__ = ["LLVM_VERSION", "assembly", "compile_object", "optimised"]

LLVM_VERSION = ".".join(str(part) for part in llvm.llvm_version_info)


@functools.cache
def _target_machine(cpu: str, level: int) -> Any:
    # The scheduler takes a fifth of the code generator's time and does not show in the workloads.
    llvm.set_option("metis", "-enable-misched=false")
    # Ways out of compiled code end alike: looking for tails to merge takes a quarter more, and saves 4 % of the code.
    llvm.set_option("metis", "-enable-tail-merge=false")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    return target.create_target_machine(cpu=cpu, features="", opt=level, reloc="pic", codemodel="small")


def _module(ir: str, cpu: str, level: int) -> tuple[Any, Any]:
    machine = _target_machine(cpu, level)
    module = llvm.parse_assembly(ir)
    module.triple = "x86_64-unknown-linux-gnu"
    module.data_layout = str(machine.target_data)
    module.verify()
    if level:
        _optimise(module, machine, level)
    return module, machine


def _optimise(module: Any, machine: Any, level: int) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.loop_vectorization = options.slp_vectorization = False
    options.loop_unrolling = options.loop_interleaving = False
    with llvm.create_pass_builder(machine, options) as builder:
        manager = llvm.create_new_module_pass_manager()
        for add in (manager.add_simplify_cfg_pass, manager.add_instruction_combine_pass, manager.add_simplify_cfg_pass):
            add()
        manager.run(module, builder)


def optimised(ir: str, cpu: str, level: int) -> str:
    """Return the IR after the passes, for readers."""
    module, _ = _module(ir, cpu, level)
    return str(module)


def assembly(ir: str, cpu: str, level: int) -> str:
    """Return the machine code as assembly, for readers."""
    module, machine = _module(ir, cpu, level)
    return str(machine.emit_assembly(module))


def compile_object(ir: str, cpu: str, level: int) -> bytes:
    """Return an ELF64 relocatable object."""
    module, machine = _module(ir, cpu, level)
    return bytes(machine.emit_object(module))
