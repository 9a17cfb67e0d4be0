"""``metis executor``: the group of the executor's commands."""

from __future__ import annotations

from typing import ClassVar

from metis.cli.lazy import LazyGroup, new_group

__all__ = ["app"]


class _ExecutorGroup(LazyGroup):
    targets: ClassVar[dict[str, tuple[str, str]]] = {
        "explain": (
            "metis.cli.executor_explain:explain_block",
            "Say which transactions of a block wait for which, and what would help.",
        ),
        "fuzz": ("metis.cli.executor_fuzz:fuzz", "Run random blocks in parallel and compare with one after the other."),
    }


app = new_group(_ExecutorGroup)


@app.callback(no_args_is_help=True)
def _executor() -> None:
    """Explain parallel execution of blocks, and check it against one after the other."""
