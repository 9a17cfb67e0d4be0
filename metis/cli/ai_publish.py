"""``metis ai publish``: a model into the store, and into the registry of a chain."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from metis.cli.ai_report import require_extra
from metis.cli.output import hex_text, write_json

__all__ = ["publish"]


def publish(
    file: Annotated[Path, typer.Argument(help="A model's file.")],
    store: Annotated[str, typer.Option(help="Folder or fsspec URL; the user's own by default.")] = "",
    rpc: Annotated[str, typer.Option(help='A node of the chain; "" only stores.')] = "http://127.0.0.1:8545",
    owner: Annotated[str, typer.Option(help="Account that the node signs for; its first by default.")] = "",
    price_wei: Annotated[int, typer.Option(min=0, help="What a call pays the owner, beside the gas.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Store a model, register it, and activate it where the node signs for the sequencer.

    Registered before, it is only activated. Contracts call it by its id from the block on that is printed.
    """
    require_extra()
    from metis.ai import ModelStore, load
    from metis.cli.node_client import NodeClient
    from metis.cli.registry_client import RegistryClient
    from metis.node.models import default_store

    opened = load(file)
    url = store or default_store()
    model_id = ModelStore(url).put(opened)
    report: dict[str, Any] = {"model_id": hex_text(model_id), "store": url}
    if rpc:
        size_bytes = len(opened.graph_bytes) + opened.weights_length
        with NodeClient(rpc) as node:
            client = RegistryClient(node)
            sender = owner or client.first_account()
            if client.owner(model_id) is None:
                client.register(model_id, sender, price_wei, url, secrets.token_bytes(32))
            report["owner"] = client.owner(model_id)
            report["active_from"] = client.activate(model_id, size_bytes)
    if as_json:
        write_json(report)
        return
    typer.echo(f"model id      {report['model_id']}")
    typer.echo(f"stored in     {url}")
    if rpc:
        typer.echo(f"owner         {report['owner']}")
        active_from = report["active_from"]
        state = "when the sequencer activates it" if active_from is None else f"from block {active_from:,}"
        typer.echo(f"callable      {state}")
