"""``metis vm``: the group of the virtual machine's commands."""

from __future__ import annotations

from typing import ClassVar

from metis.cli.lazy import LazyGroup, new_group

__all__ = ["app"]


class _VmGroup(LazyGroup):
    targets: ClassVar[dict[str, tuple[str, str]]] = {
        "run": ("metis.cli.vm_run:run", "Run bytecode or one case of a state-test file, with a trace."),
        "disasm": ("metis.cli.vm_stages:disasm", "Show bytecode as instructions."),
        "blocks": ("metis.cli.vm_stages:blocks", "Show what the compiler knows: blocks, stack, jumps, regions."),
        "ir": ("metis.cli.vm_stages:ir", "Show the LLVM IR that bytecode becomes."),
        "asm": ("metis.cli.vm_stages:asm", "Show the machine code that bytecode becomes."),
        "report": ("metis.cli.vm_report:report", "Run a state-test file compiled and show what was compiled."),
        "bench": ("metis.cli.vm_bench:bench", "Measure plain revm, tier 0 and compiled code side by side."),
        "statetest": ("metis.cli.vm_statetest:statetest", "Check the engine against Ethereum state tests."),
        "blocktest": ("metis.cli.vm_blocktest:blocktest", "Check the engine against Ethereum blockchain tests."),
    }


app = new_group(_VmGroup)


@app.callback(no_args_is_help=True)
def _vm() -> None:
    """Run bytecode, look at how it is compiled, measure it, and check it against Ethereum's state tests."""
