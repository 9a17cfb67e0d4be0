"""``metis db stats`` and ``metis db prune``: what a store holds and takes, and giving room back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from metis.cli.output import columns, write_json
from metis.engine import database_stats, prune_database

__all__ = ["prune", "stats"]

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def stats(folder: Annotated[Path, typer.Argument(help="The store's folder.")], as_json: _Json = False) -> None:
    """
    Count accounts, slots, codes and nodes, and tell what they take. Reads all of it, also while somebody writes it.

    With --json: {"newest", "oldest_block_number", "counts", "index", "tries", "state_count", "old_value_count",
    "archive", "bytes"}.
    """
    found = database_stats(str(folder))
    if as_json:
        write_json(found)
        return
    newest, counts, tries = found["newest"], found["counts"], found["tries"]
    rows = [
        ("newest block", f"{newest['number']:,}"),
        ("oldest kept block", f"{found['oldest_block_number']:,}"),
        ("kept states", f"{found['state_count']:,}"),
        ("their old values", f"{found['old_value_count']:,}"),
        *((f"archive: {name.replace('_', ' ')}", f"{value:,}") for name, value in (found["archive"] or {}).items()),
        *((name, f"{counts[name]:,}") for name in ("accounts", "slots", "codes")),
        *((f"load of the index of {name}", f"{load['load']:.0%}") for name, load in found["index"].items()),
        ("branches", f"{tries['branch_count']:,}"),
        ("extensions", f"{tries['extension_count']:,}"),
        ("tries of storage", f"{tries['storage_count']:,}"),
        ("nodes above an account, mean", f"{_mean(tries['account_depths']):.2f}"),
        ("nodes above a slot, mean", f"{_mean(tries['slot_depths']):.2f}"),
        *((f"bytes: {name}", f"{value:,}") for name, value in found["bytes"].items()),
    ]
    typer.echo(columns(("what", "how much"), rows))


def prune(
    folder: Annotated[Path, typer.Argument(help="The store's folder; nobody else may write it.")],
    keep: Annotated[int, typer.Option(min=0, help="Older states that are kept; an archive keeps them whole.")] = 128,
    from_block: Annotated[int | None, typer.Option(min=0, help="Oldest block that an archive keeps.")] = None,
    as_json: _Json = False,
) -> None:
    """
    Forget older states, move pages into the gaps of the file and cut it off; an archive forgets only what --from-block
    says.

    What other processes read stays as long as they read it. With --json: {"state_count_before", "state_count",
    "bytes_before", "bytes"}.
    """
    report: dict[str, Any] = prune_database(str(folder), keep, from_block)
    if as_json:
        write_json(report)
        return
    freed = report["bytes_before"] - report["bytes"]
    forgotten = report["state_count_before"] - report["state_count"]
    typer.echo(f"{forgotten:,} of {report['state_count_before']:,} states forgotten, {freed:,} bytes freed")


def _mean(depths: Sequence[int]) -> float:
    total = sum(depths)
    return sum(depth * count for depth, count in enumerate(depths)) / total if total else 0.0
