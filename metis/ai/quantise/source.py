"""From files to an integer model: which importer, which sizes, which samples, and the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from metis.ai.file import ModelFile
from metis.ai.graph import Cost, validate_graph
from metis.ai.quantise.accuracy import Accuracy, compare
from metis.ai.quantise.bert import read_encoder
from metis.ai.quantise.execution import fold
from metis.ai.quantise.graph import Array, FloatGraph, FloatInput
from metis.ai.quantise.lowering import Options
from metis.ai.quantise.onnx_file import read_onnx
from metis.ai.quantise.pipeline import quantise_graph
from metis.ai.samples import Shape, read_arrays, samples_of
from metis.types import InvalidModelFile

__all__ = ["Quantised", "quantise_file"]

# What the comparison may cost; it takes fewer samples of large models.
_COMPARED_MACS: Final = 4 * 10**10
_COMPARED_MOST: Final = 256
_CALIBRATED_MOST: Final = 512


@dataclasses.dataclass(frozen=True, slots=True)
class Quantised:
    """A model and what is known of it."""

    file: ModelFile
    cost: Cost
    accuracy: Accuracy
    calibrated: int


def quantise_file(
    source: Path,
    calibration: Path,
    dims: Mapping[str, int] | None = None,
    options: Options | None = None,
    tokenizer: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Quantised:
    """
    Quantise a model in a file.

    Parameters
    ----------
    source : an .onnx file, or the .safetensors of an encoder with its ``config.json`` beside it.
    calibration : .npy or .npz; the first dimension of each array counts samples.
    dims : sizes that the model leaves open, by name; others follow from the calibration data, a batch is 1.
    tokenizer : the file that makes a text model's inputs.
    progress : is told what begins.

    Raises
    ------
    InvalidModelFile : a file cannot be read, or does not fit the others.
    UnsupportedModel : names the first node that has no integer form.
    """
    dims = dict(dims or {})
    progress("Reading the model")
    graph = _read(source, calibration, dims)
    arrays = read_arrays(calibration, [tensor.name for tensor in graph.inputs])
    shapes = {tensor.name: _fixed(tensor, dims) for tensor in graph.inputs}
    runs = samples_of(arrays, shapes)
    kinds = {tensor.name: tensor.dtype for tensor in graph.inputs}
    samples = [{name: np.asarray(value).astype(kinds[name]) for name, value in run.items()} for run in _spread(runs)]
    progress(f"Calibrating with {len(samples)} samples")
    raw = _tokenizer(tokenizer)
    file = quantise_graph(graph, samples, options, raw, source.name)
    cost = validate_graph(file.graph).cost
    compared = samples[: max(4, min(_COMPARED_MOST, _COMPARED_MACS // max(1, cost.macs)))]
    progress(f"Comparing with the float model on {len(compared)} samples")
    return Quantised(file, cost, compare(fold(graph, samples[0]), file, compared), len(samples))


def _read(source: Path, calibration: Path, dims: dict[str, int]) -> FloatGraph:
    if source.suffix == ".onnx":
        return read_onnx(source)
    if source.suffix == ".safetensors":
        if "sequence" not in dims:
            ids = read_arrays(calibration, ["input_ids", "attention_mask"])["input_ids"]
            dims["sequence"] = int(ids.shape[-1])
        return read_encoder(source, dims["sequence"])
    raise InvalidModelFile(str(source), "its name must end in .onnx or .safetensors")


def _fixed(tensor: FloatInput, dims: Mapping[str, int]) -> Shape:
    """The shape with the sizes that were given; an open batch takes one sample."""
    shape = [dims.get(size, size) if isinstance(size, str) else size for size in tensor.shape]
    if shape and shape[0] is None and "batch" in dims:
        shape[0] = dims["batch"]
    return tuple(shape)


def _spread(runs: list[dict[str, Array]]) -> list[dict[str, Array]]:
    """At most so many runs, evenly chosen."""
    if len(runs) <= _CALIBRATED_MOST:
        return runs
    return [runs[place * len(runs) // _CALIBRATED_MOST] for place in range(_CALIBRATED_MOST)]


def _tokenizer(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidModelFile(str(path), error.strerror or str(error)) from None
