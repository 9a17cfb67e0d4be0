"""
The file of a model: graph, weights, tokenizer, and what its integers mean to people, in one file.

Specified in docs/ai-graph.md. The weights lie at a multiple of 64 bytes, as they lie in memory.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import struct
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from metis.ai.graph import Graph, Model, Weights, decode_graph, encode_graph
from metis.ai.graph.limits import GRAPH_BYTES_MAX
from metis.engine import keccak256
from metis.types import InvalidModelFile

__all__ = ["FILE_MAGIC", "Description", "ModelFile", "TensorDescription", "load", "save", "save_chunks"]

FILE_MAGIC: Final = b"METISMDL"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<8sIIQQQQ16x")
_ALIGNMENT: Final = 64
_DESCRIPTION_MAX: Final = 1 << 20
_TOKENIZER_MAX: Final = 1 << 26
_WEIGHTS_MAX: Final = 1 << 36


@dataclasses.dataclass(frozen=True, slots=True)
class TensorDescription:
    """
    What an input's or an output's integers mean.

    Attributes
    ----------
    name : in the graph. source : in the model it was made from.
    kind : "float", of which ``scale`` is the value of 1, or "integer", given and taken as it is.
    shape : in the model it was made from, where a scalar has none.
    """

    name: str
    source: str
    kind: str
    scale: float
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Description:
    """What people need to use a model. Not part of its id: whoever changes it changes no result."""

    source: str = ""
    inputs: tuple[TensorDescription, ...] = ()
    outputs: tuple[TensorDescription, ...] = ()

    def encode(self) -> bytes:
        """JSON with sorted keys and without white space."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, raw: bytes) -> Description:
        """The only description with these bytes; raises :class:`metis.types.InvalidModelFile`."""
        try:
            document = json.loads(raw)
            description = cls(
                _text(document["source"]),
                tuple(_tensor(tensor) for tensor in document["inputs"]),
                tuple(_tensor(tensor) for tensor in document["outputs"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidModelFile("description", f"it is not as described in docs/ai-graph.md: {error}") from None
        if description.encode() != raw:
            raise InvalidModelFile("description", "it is not written in its one form")
        return description


@dataclasses.dataclass(frozen=True, slots=True)
class ModelFile:
    """
    A model's file.

    Attributes
    ----------
    tokenizer : bytes of the tokenizer's file, for a model of text.
    path : where the file is, or None for one that was not written yet.
    weights_offset, weights_length : where the weights lie in it, in bytes.
    """

    graph: Graph
    graph_bytes: bytes
    description: Description
    tokenizer: bytes | None
    path: Path | None
    weights_offset: int
    weights_length: int
    _model: Model | None = None

    @classmethod
    def of(cls, model: Model, description: Description | None = None, tokenizer: bytes | None = None) -> ModelFile:
        """A file to be written; raises :class:`metis.types.InvalidModelFile` where parts do not fit each other."""
        description = description or _plain_description(model.graph)
        raw = encode_graph(model.graph)
        _check_description(model.graph, description)
        hashed = None if tokenizer is None else keccak256(tokenizer)
        if tokenizer == b"" or hashed != model.tokenizer_hash:
            raise InvalidModelFile("tokenizer", "it is not the one that the model's id names")
        offset = sum(map(_padded, (_HEADER.size, len(raw), len(description.encode()), len(tokenizer or b""))))
        return cls(model.graph, raw, description, tokenizer, None, offset, len(model.weights.raw), model)

    @property
    def model(self) -> Model:
        """The model with its weights, read from the file each time; raises :class:`metis.types.InvalidModelFile`."""
        if self._model is not None:
            return self._model
        assert self.path is not None  # noqa: S101 - one of both is always there
        try:
            with self.path.open("rb") as file:
                file.seek(self.weights_offset)
                raw = file.read(self.weights_length)
        except OSError as error:
            raise InvalidModelFile(str(self.path), error.strerror or str(error)) from None
        hashed = None if self.tokenizer is None else keccak256(self.tokenizer)
        return Model(self.graph, Weights(raw), hashed)


def save(file: ModelFile, path: str | os.PathLike[str]) -> ModelFile:
    """
    Write a model's file: whole, or not at all.

    Returns the file with its new place.

    Raises
    ------
    InvalidModelFile : it cannot be written.
    """
    return save_chunks(file, [file.model.weights.raw], path)


def save_chunks(file: ModelFile, weights: Iterable[bytes], path: str | os.PathLike[str]) -> ModelFile:
    """
    Write a model's file whose weights come in pieces, as :func:`save`; nothing is left when getting one raises.

    Raises
    ------
    InvalidModelFile : it cannot be written, or the pieces are not ``file.weights_length`` bytes.
    """
    target, written = Path(path), 0
    description, tokenizer = file.description.encode(), file.tokenizer or b""
    header = _HEADER.pack(
        FILE_MAGIC, _VERSION, 0, len(file.graph_bytes), len(description), len(tokenizer), file.weights_length
    )
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as out:
            temporary = Path(out.name)
            for part in (header, file.graph_bytes, description, tokenizer):
                out.write(part + bytes(_padded(len(part)) - len(part)))
            offset = out.tell()
            for piece in weights:
                out.write(piece)
                written += len(piece)
            if written != file.weights_length:
                raise InvalidModelFile("weights", f"{written} bytes instead of {file.weights_length}")
            out.flush()
            os.fsync(out.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
        temporary = None
    except OSError as error:
        raise InvalidModelFile(str(target), error.strerror or str(error)) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return dataclasses.replace(file, path=target, weights_offset=offset, _model=None)


def load(path: str | os.PathLike[str]) -> ModelFile:
    """
    Open a model's file. The weights stay where they are until they are asked for.

    Raises
    ------
    InvalidModelFile : it is no such file; the field says which part.
    GraphDecodeError : its graph is not one.
    """
    source = Path(path)
    try:
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            lengths = _lengths(file.read(_HEADER.size))
            parts = []
            for name, length in zip(("graph", "description", "tokenizer"), lengths[:3], strict=True):
                padded = _padded(length)
                raw = file.read(padded) if file.tell() + padded <= size else b""
                if len(raw) != padded or any(raw[length:]):
                    raise InvalidModelFile(name, f"{length} bytes and zeros up to a multiple of 64 are not there")
                parts.append(raw[:length])
            offset = file.tell()
    except OSError as error:
        raise InvalidModelFile(str(source), error.strerror or str(error)) from None
    if offset + lengths[3] != size:
        raise InvalidModelFile("weights", f"{size - offset} bytes instead of {lengths[3]}")
    graph, description = decode_graph(parts[0]), Description.decode(parts[1])
    _check_description(graph, description)
    return ModelFile(graph, parts[0], description, parts[2] or None, source, offset, lengths[3])


def _lengths(header: bytes) -> tuple[int, int, int, int]:
    if len(header) != _HEADER.size or header[:8] != FILE_MAGIC:
        raise InvalidModelFile("magic", "this is not a model's file; `metis ai quantise` writes one")
    _, version, flags, graph, description, tokenizer, weights = _HEADER.unpack(header)
    if version != _VERSION:
        raise InvalidModelFile("version", f"{version}; this release reads {_VERSION}")
    if flags or any(header[48:]):
        raise InvalidModelFile("header", "bytes that must be zero are not")
    limits = {"graph": GRAPH_BYTES_MAX, "description": _DESCRIPTION_MAX, "tokenizer": _TOKENIZER_MAX}
    for (name, limit), length in zip(
        {**limits, "weights": _WEIGHTS_MAX}.items(), (graph, description, tokenizer, weights), strict=True
    ):
        if length > limit:
            raise InvalidModelFile(name, f"{length} bytes; at most {limit} are allowed")
    return graph, description, tokenizer, weights


def _padded(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is not one")
    return value


def _tensor(document: Mapping[str, Any]) -> TensorDescription:
    scale, shape = document["scale"], document["shape"]
    if not isinstance(scale, float) or not math.isfinite(scale) or scale <= 0:
        raise ValueError("a scale is not above 0")
    if document["kind"] not in ("float", "integer"):
        raise ValueError("a kind is neither float nor integer")
    if not all(type(size) is int and size > 0 for size in shape):
        raise ValueError("a shape has a size that is not above 0")
    return TensorDescription(_text(document["name"]), _text(document["source"]), document["kind"], scale, tuple(shape))


def _plain_description(graph: Graph) -> Description:
    """That of a graph made by hand: integers in, integers out."""
    from metis.ai.graph import validate_graph

    proven = validate_graph(graph)
    return Description(
        "",
        tuple(TensorDescription(t.name, t.name, "integer", 1.0, t.shape) for t in graph.inputs),
        tuple(TensorDescription(o.name, o.name, "integer", 1.0, proven.tensors[o.tensor].shape) for o in graph.outputs),
    )


def _check_description(graph: Graph, description: Description) -> None:
    """Names in the graph's order; inputs with as many elements as the graph's."""
    for what, declared, given in (
        ("inputs", graph.inputs, description.inputs),
        ("outputs", graph.outputs, description.outputs),
    ):
        if [tensor.name for tensor in declared] != [tensor.name for tensor in given]:
            raise InvalidModelFile("description", f"its {what} are not those of the graph")
    for tensor, described in zip(graph.inputs, description.inputs, strict=True):
        if math.prod(tensor.shape) != math.prod(described.shape):
            raise InvalidModelFile("description", f"the shape of input {tensor.name} is not the graph's")
