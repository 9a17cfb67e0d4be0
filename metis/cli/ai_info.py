"""``metis ai info``: what a model's file says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metis.cli.ai_report import described, require_extra
from metis.cli.output import columns, write_json

__all__ = ["info"]


def info(
    file: Annotated[Path, typer.Argument(help="A model's file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a model's id, what it takes and gives, its operators and what a run costs."""
    require_extra()
    from metis.ai.file import load

    report = {"file": str(file), **described(load(file))}
    if as_json:
        write_json(report)
        return
    typer.echo(f"model id      {report['model_id']}")
    typer.echo(f"weights root  {report['weights_root']}  ({report['weights_bytes']:,} bytes)")
    if report["tokenizer_hash"]:
        typer.echo(f"tokenizer     {report['tokenizer_hash']}")
    typer.echo(
        f"one run       {report['macs']:,} MACs, {report['memory_bytes']:,} bytes of memory, {report['gas']:,} gas\n"
    )
    tensors = [("input", tensor) for tensor in report["inputs"]] + [("output", tensor) for tensor in report["outputs"]]
    rows = [
        (kind, tensor["source"], str(list(tensor["shape"])), tensor["dtype"], f"{tensor['scale']:.6g}")
        for kind, tensor in tensors
    ]
    typer.echo(columns(("", "name", "shape", "type", "value of 1"), rows, left=4))
    typer.echo("")
    typer.echo(columns(("operator", "nodes"), [(name, str(count)) for name, count in report["operators"].items()]))
