"""``metis ai quantise``: from a float model to an integer model's file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from metis.cli.ai_report import described, require_extra
from metis.cli.output import columns, write_json

__all__ = ["quantise"]


def quantise(
    model: Annotated[
        Path, typer.Argument(help="An .onnx file, or an encoder's .safetensors with config.json beside it.")
    ],
    calibration: Annotated[
        Path, typer.Option(help="Samples: .npy for the only input, or .npz by input; the first dimension counts them.")
    ],
    out: Annotated[Path, typer.Option(help="Where to write the model.")],
    dim: Annotated[
        list[str] | None, typer.Option(help="An open size, such as sequence=128; may be given several times.")
    ] = None,
    activations: Annotated[str, typer.Option(help="int8, or int16: slower and closer to the float model.")] = "int8",
    tokenizer: Annotated[Path | None, typer.Option(help="The tokenizer's file of a model that reads text.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Make an integer model of a float one, and say how far the two are apart.

    Scales come from the calibration samples: give some dozens of what the model will see. The first operator that
    integers do not have yet is named, with its node.
    """
    require_extra()
    from metis.ai.file import save
    from metis.ai.quantise import Options
    from metis.ai.quantise.source import quantise_file

    if activations not in ("int8", "int16"):
        raise typer.BadParameter(f"{activations!r} is neither int8 nor int16", param_hint="--activations")

    def progress(text: str) -> None:
        if not as_json and sys.stderr.isatty():
            sys.stderr.write(f"{text} …\n")

    options = Options("int16" if activations == "int16" else "int8")
    done = quantise_file(model, calibration, _sizes(dim or []), options, tokenizer, progress)
    file = save(done.file, out)
    outputs = [
        {
            "name": output.name,
            "cosine_mean": output.cosine_mean,
            "cosine_min": output.cosine_min,
            "max_error": output.max_error,
            "range": output.range,
            "top1_agreement": output.top1_agreement,
        }
        for output in done.accuracy.outputs
    ]
    report = {
        "file": str(out),
        "file_bytes": out.stat().st_size,
        **described(file),
        "calibration_samples": done.calibrated,
        "accuracy": {"samples": done.accuracy.samples, **_first(outputs), "outputs": outputs},
    }
    if as_json:
        write_json(report)
    else:
        _print(report, outputs)


def _sizes(given: list[str]) -> dict[str, int]:
    sizes = {}
    for text in given:
        name, _, size = text.partition("=")
        if not name or not size.isdigit() or not 0 < int(size) < 1 << 24:
            raise typer.BadParameter(f"{text!r} is not NAME=SIZE", param_hint="--dim")
        sizes[name] = int(size)
    return sizes


def _first(outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """The first output's numbers: most models have one."""
    return {name: outputs[0][name] for name in ("cosine_mean", "cosine_min", "max_error", "top1_agreement")}


def _print(report: dict[str, Any], outputs: list[dict[str, Any]]) -> None:
    typer.echo(f"{report['file']}  {report['file_bytes']:,} bytes")
    typer.echo(f"model id  {report['model_id']}")
    typer.echo(f"cost      {report['macs']:,} MACs, {report['memory_bytes']:,} bytes of memory, {report['gas']:,} gas")
    typer.echo(f"\nAgainst the float model, {report['accuracy']['samples']} samples:")
    rows = [
        (
            output["name"],
            f"{output['cosine_mean']:.5f}",
            f"{output['cosine_min']:.5f}",
            f"{output['max_error']:.4g}",
            f"{output['range']:.4g}",
            "" if output["top1_agreement"] is None else f"{output['top1_agreement']:.2%}",
        )
        for output in outputs
    ]
    typer.echo(columns(("output", "cosine mean", "min", "max error", "of", "top-1 agreement"), rows))
