"""``metis vm blocktest``: Ethereum's blockchain tests against the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metis.cli.vm_conformance import core_count, tell

__all__ = ["blocktest"]


def blocktest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH", help="Blockchain-test files, folders of them, or .tar.xz archives.", show_default=False
        ),
    ],
    network: Annotated[
        str | None,
        typer.Option(help="Only this network's tests, such as Osaka or BerlinToLondonAt5.", show_default=False),
    ] = None,
    store: Annotated[str, typer.Option(help="Where the state lies: memory; metisdb.")] = "metisdb",
    workers: Annotated[int, typer.Option(min=0, help="Threads; 0 takes one per core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """
    Check the engine against Ethereum blockchain tests.

    Each test begins a node with its block 0 and gives it blocks. The test passes when block 0 has the
    file's hash, the node refuses exactly the blocks that the file says must be refused, for the reason
    that it names, and has kept the newest block with the file's accounts. Proof of work, difficulties
    and ommers' headers are not checked: a test that asks for that is skipped, and so is one for a fork
    that the engine does not implement. A file that cannot be read counts as one failure.

    With --json: {"total", "passed", "failed", "skipped", "by_fork": {network: counts}, "failures": [the
    first 20]}. Exit code 1 when anything failed.
    """
    from metis.vm import fixture_files, run_chain_tests

    tell(
        paths,
        lambda on_progress: run_chain_tests(
            fixture_files(paths),
            network=network,
            workers=workers or core_count(),
            on_progress=on_progress,
            store=store,
        ),
        as_json,
        "no blockchain tests found" + (f" for network {network}" if network else ""),
    )
