"""``metis db``: the group of the commands about MetisDB's files."""

from __future__ import annotations

from typing import ClassVar

from metis.cli.lazy import LazyGroup, new_group

__all__ = ["app"]


class _DatabaseGroup(LazyGroup):
    targets: ClassVar[dict[str, tuple[str, str]]] = {
        "inspect": ("metis.cli.db_inspect:inspect", "Tell what lies in a store's folder."),
        "verify": ("metis.cli.db_inspect:verify", "Check every byte of a store that counts; say where it is damaged."),
        "stats": ("metis.cli.db_room:stats", "Count what a store holds, and tell what it takes."),
        "prune": ("metis.cli.db_room:prune", "Forget older states, and give room back."),
        "export": ("metis.cli.db_transfer:export", "Write a state as one stream of bytes."),
        "import": (
            "metis.cli.db_transfer:import_",
            "Make a store from an exported state, a genesis or a dump of anvil.",
        ),
        "torture": ("metis.cli.db_torture:torture", "Kill writers and cut the power; check what is left."),
    }


app = new_group(_DatabaseGroup)


@app.callback(no_args_is_help=True)
def _database() -> None:
    """Look at MetisDB's files, check, move, shrink and torture them."""
