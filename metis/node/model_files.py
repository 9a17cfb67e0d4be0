"""Models as files of this node: put together from a store, read into memory, and checked there. Imports numpy."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from metis.ai import ModelFile, ModelStore, load
from metis.ai.graph import graph_hash, id_of_hashes
from metis.engine import InferenceModel, keccak256
from metis.node.model_sources import ModelSource
from metis.types import Hash32, InvalidModelFile, MetisError, ModelUnavailable

__all__ = ["opened_model"]

log = logging.getLogger("metis.node.models")


def opened_model(model_id: Hash32, path: Path, sources: Iterable[ModelSource]) -> InferenceModel:
    """
    A model in memory: from the file at ``path``, or else from one put together from the first source that has it.

    What is checked is what is in memory and will run: nobody can change it there.

    Raises
    ------
    ModelUnavailable : no source gave it.
    """
    if path.is_file():
        try:
            return _checked(model_id, load(path))
        except (MetisError, OSError) as problem:
            log.warning("a model's file is damaged; it is fetched again: %s: %s", path, problem)
    for source in sources:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            store = ModelStore(source.url, is_trusted=source.is_trusted)
            return _checked(model_id, store.fetch(model_id, path, weights_bytes_max=source.model_bytes_max))
        except ModelUnavailable:
            log.warning("model 0x%s is not in %s", model_id.hex(), source.url)
        except (MetisError, OSError) as problem:
            log.warning("model 0x%s cannot be had from %s: %s", model_id.hex(), source.url, problem)
    raise ModelUnavailable(model_id)


def _checked(model_id: Hash32, file: ModelFile) -> InferenceModel:
    assert file.path is not None  # noqa: S101 - it was just read
    model = InferenceModel.open(file.graph_bytes, file.path, file.weights_offset, file.weights_length)
    tokenizer = None if file.tokenizer is None else keccak256(file.tokenizer)
    found = id_of_hashes(graph_hash(file.graph_bytes), model.weights_root, tokenizer)
    if found != model_id:
        raise InvalidModelFile("id", f"it is that of model 0x{found.hex()}")
    return model
