"""``metis ai``: the group of the commands for models."""

from __future__ import annotations

from typing import ClassVar

from metis.cli.lazy import LazyGroup, new_group

__all__ = ["app"]


class _AiGroup(LazyGroup):
    targets: ClassVar[dict[str, tuple[str, str]]] = {
        "quantise": ("metis.cli.ai_quantise:quantise", "Make an integer model of a float one, and compare the two."),
        "run": ("metis.cli.ai_run:run", "Run a model on arrays; the same hash on every machine."),
        "publish": ("metis.cli.ai_publish:publish", "Store a model and register it on a chain, for contracts to call."),
        "verify": (
            "metis.cli.ai_verify:verify_file",
            "Check an execution receipt, offline: all of it, or one operator.",
        ),
        "open": ("metis.cli.ai_verify:open_one", "Take one operator out of a receipt's task, for others to check."),
        "info": ("metis.cli.ai_info:info", "Show a model's id, inputs, operators and cost."),
    }


app = new_group(_AiGroup)


@app.callback(no_args_is_help=True)
def _ai() -> None:
    """Models as integer graphs: the same bits on every machine. Needs the extra "ai"."""
