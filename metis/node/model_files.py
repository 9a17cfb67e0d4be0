"""Models as files of this node: put together from a store, and checked. Imports numpy."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from metis.ai import ModelFile, ModelStore, load
from metis.types import Hash32, MetisError, ModelUnavailable

__all__ = ["checked_file"]

log = logging.getLogger("metis.node.models")


def checked_file(model_id: Hash32, path: Path, stores: Sequence[str]) -> ModelFile:
    """
    The file of a model: the one at ``path``, or else one put together from the first store that has the model.

    Raises
    ------
    ModelUnavailable : no store gave it.
    """
    if path.is_file():
        try:
            file = load(path)
            if file.model.id == model_id:
                return file
            log.warning("a model's file is another model's; it is fetched again: %s", path)
        except MetisError as problem:
            log.warning("a model's file is damaged; it is fetched again: %s: %s", path, problem)
    path.parent.mkdir(parents=True, exist_ok=True)
    for url in stores:
        try:
            return ModelStore(url).fetch(model_id, path)
        except ModelUnavailable:
            log.warning("model 0x%s is not in %s", model_id.hex(), url)
        except MetisError as problem:
            log.warning("model 0x%s cannot be had from %s: %s", model_id.hex(), url, problem)
    raise ModelUnavailable(model_id)
