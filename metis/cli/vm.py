"""``metis vm``: the group of the virtual machine's commands."""

from __future__ import annotations

from typing import ClassVar

from metis.cli.lazy import LazyGroup, new_group

__all__ = ["app"]


class _VmGroup(LazyGroup):
    targets: ClassVar[dict[str, tuple[str, str]]] = {
        "run": ("metis.cli.vm_run:run", "Run bytecode or one case of a state-test file, with a trace."),
        "statetest": ("metis.cli.vm_statetest:statetest", "Check the engine against Ethereum state tests."),
    }


app = new_group(_VmGroup)


@app.callback(no_args_is_help=True)
def _vm() -> None:
    """Run bytecode, trace it, and check the machine against Ethereum's state tests."""
