"""``metis ai run``: a model on arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metis.cli.ai_report import gas_of, require_extra
from metis.cli.output import hex_text, write_json

__all__ = ["run"]


def run(
    file: Annotated[Path, typer.Argument(help="A model's file.")],
    inputs: Annotated[
        Path, typer.Option("--input", help="Samples: .npy for the only input, or .npz by input. Floats are quantised.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where to write the outputs: .npy for the first, .npz for all by name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Run a model on one sample or many.

    The hash is over the integers of all outputs: it is the same wherever the model runs. What is written means the
    same as the float model's outputs.
    """
    require_extra()
    from metis.ai.file import load
    from metis.ai.samples import read_arrays, shown, write_arrays
    from metis.ai.session import Session

    opened = load(file)
    session = Session(opened)
    results = session.run(read_arrays(inputs, session.names))
    if out is not None:
        write_arrays(out, results.outputs)
    report = {
        "file": str(file),
        "model_id": hex_text(opened.model.id),
        "samples": len(results.hashes),
        "output_hash": hex_text(results.hash),
        "output_hashes": [hex_text(value) for value in results.hashes],
        "macs": session.proven.cost.macs,
        "gas": gas_of(session.proven),
        "outputs": [{"name": name, "shape": value.shape} for name, value in results.outputs.items()],
        "out": None if out is None else str(out),
    }
    if as_json:
        write_json(report)
        return
    typer.echo(f"model id     {report['model_id']}")
    typer.echo(f"output hash  {report['output_hash']}")
    typer.echo(f"samples      {report['samples']}, {report['macs']:,} MACs and {report['gas']:,} gas each")
    for name, value in results.outputs.items():
        typer.echo(f"{name} {value.shape}\n{shown(value)}")
