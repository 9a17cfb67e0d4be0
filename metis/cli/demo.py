"""``metis demo``: blocks of real transactions on a fresh store, checked by a second one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metis.cli.demo_run import DemoResult

__all__ = ["demo"]

_MAINNET_BLOCK = "mainnet-blocks/18920116.json.xz"


def demo(
    preset: Annotated[str, typer.Option(help="Network to run on: a preset's name.")] = "hyperion",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the story.")] = False,
) -> None:
    """
    Execute blocks of real transactions on a fresh store and show what happened.

    Ten development accounts sign transactions of every type (transfers, a token written in Vyper, a
    blob, a delegated account), some of which fail or are refused. Three blocks are built from them,
    executed again from their bytes on a second store, and a token balance is proven against the
    state root. Where the fixtures are present (METIS_FIXTURES), Ethereum mainnet's block 18,920,116
    is executed too and its logs are compared.

    Exit code 1 when anything is not as it should be.
    """
    from metis.cli.demo_run import run_demo

    result = run_demo(preset, _mainnet_block())
    _show(result, as_json=as_json)
    if not result.passed:
        raise typer.Exit(1)


def _show(result: DemoResult, *, as_json: bool) -> None:
    if as_json:
        from metis.cli.demo_json import demo_object
        from metis.cli.output import write_json

        write_json(demo_object(result))
    else:
        from metis.cli.demo_report import print_demo

        print_demo(result)


def _mainnet_block() -> Path:
    """Where the recorded block is, if it is there: METIS_FIXTURES, or beside the checkout."""
    checkout = Path(__file__).resolve().parents[2]
    folder = os.environ.get("METIS_FIXTURES") or checkout.parent / "shared" / "fixtures"
    return Path(folder) / _MAINNET_BLOCK
