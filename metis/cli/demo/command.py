"""``metis demo``: Hyperion end to end on real data and models."""

from __future__ import annotations

import importlib.util
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metis.cli.demo.story import Options, Story
    from metis.cli.demo.telling import Telling

__all__ = ["demo"]

_LANGUAGE_MODEL = "evm-workloads/onchain-lm-v2.json.xz"


def demo(
    fast: Annotated[bool, typer.Option("--fast", help="Fewer users and waves: under 45 seconds.")] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Keep the node running at the end.")] = False,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only download and quantise the sentence encoder, once.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Where chain, models and report are kept; else they are thrown away.")
    ] = None,
    report: Annotated[Path, typer.Option(help="Where the HTML report goes.")] = Path("metis-demo.html"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per step, and a summary.")] = False,
) -> None:
    """
    Show the whole of Hyperion on real data: models, contracts, users, a crash, a verifier.

    Trains a classifier of handwritten digits and registers it with a sentence encoder on a fresh node; deploys
    contracts in Vyper and Solidity that call them; lets many users send at once; kills the node and starts it again;
    lets a second node execute everything itself. What is not on this machine is left out, and said.

    Exit code 1 when anything is not as it should be.
    """
    if any(importlib.util.find_spec(name) is None for name in ("numpy", "onnx", "safetensors", "sklearn")):
        raise typer.BadParameter("it needs two extras: pip install 'metis-stack[ai,demo]'")
    if prepare:
        _prepare(as_json=as_json)
        return
    # Before what takes long to import.
    from metis.cli.demo.interruption import InterruptibleTelling
    from metis.cli.demo.json_lines import JsonTelling
    from metis.cli.demo.terminal import TerminalTelling

    telling = InterruptibleTelling(JsonTelling() if as_json else TerminalTelling())
    with tempfile.TemporaryDirectory(prefix="metis-demo-") as temporary:
        _tell(_options(fast=fast), folder or Path(temporary), report, telling, serve=serve, is_quiet=as_json)


def _prepare(*, as_json: bool) -> None:
    from metis.cli.demo.models import Encoder
    from metis.cli.output import hex_text, write_json

    encoder = Encoder.prepare(lambda text: typer.echo(text, err=True))
    if as_json:
        write_json({"model_id": hex_text(encoder.file.model.id), "cosine_mean": encoder.cosine_mean})
    else:
        typer.echo(f"all-MiniLM-L6-v2 is here: {hex_text(encoder.file.model.id)}")


def _options(*, fast: bool) -> Options:
    from metis.cli.demo.story import Options

    language_model = _fixture(_LANGUAGE_MODEL)
    if fast:
        return Options(users=60, waves=1, asks_per_wave=12, language_model=language_model)
    return Options(users=160, waves=3, asks_per_wave=24, language_model=language_model)


def _fixture(name: str) -> Path | None:
    """A file of the fixtures, if it is there: below METIS_FIXTURES, or beside the checkout."""
    checkout = Path(__file__).resolve().parents[3]
    path = Path(os.environ.get("METIS_FIXTURES") or checkout.parent / "shared" / "fixtures") / name
    return path if path.is_file() else None


def _tell(options: Options, folder: Path, report: Path, telling: Telling, *, serve: bool, is_quiet: bool) -> None:
    from metis.cli.demo.page import page
    from metis.cli.demo.story import Story

    folder.mkdir(parents=True, exist_ok=True)
    with Story(options, folder, telling) as story:
        results = story.run()
        report.write_text(page(results), encoding="utf-8")
        if not is_quiet:
            typer.echo(f"The report is {report.resolve()}")
        if serve:
            _serve(story)
    if not results.ok:
        raise typer.Exit(1)


def _serve(story: Story) -> None:
    """Say how tools find the node, and wait for Ctrl-C."""
    url, chain_id = story.node.url, story.node.started["chain_id"]
    typer.echo(f"""
The node goes on at {url} (chain {chain_id}) until Ctrl-C.
  MetaMask  Settings, Networks, Add: RPC URL {url}, chain id {chain_id}, symbol METIS
  forge     forge test --fork-url {url}
  viem      createPublicClient({{ transport: http("{url}") }})
  web3.py   Web3(Web3.HTTPProvider("{url}"))""")
    signal.pause()
