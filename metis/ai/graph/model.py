"""A model: graph, weights and, where it reads text, the hash of its tokenizer; and the id of all three."""

from __future__ import annotations

import dataclasses
from typing import Final

from metis.ai.graph.encoding import encode_graph
from metis.ai.graph.types import Graph
from metis.ai.graph.weights import Weights
from metis.engine import keccak256
from metis.types import Hash32, InvalidGraph

__all__ = ["Model", "graph_hash", "id_of_hashes", "model_id"]

_GRAPH: Final = b"metis/ai/graph/v1\x00"
_MODEL: Final = b"metis/ai/model/v1\x00"


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """
    What an inference runs.

    Attributes
    ----------
    tokenizer_hash : keccak256 of the tokenizer's file for a model of text, else None.
    """

    graph: Graph
    weights: Weights
    tokenizer_hash: Hash32 | None = None

    @property
    def id(self) -> Hash32:
        """The name of exactly this model; raises :class:`metis.types.InvalidGraph` as :func:`encode_graph` does."""
        return model_id(encode_graph(self.graph), self.weights.root, self.tokenizer_hash)


def model_id(graph_bytes: bytes, weights_root: bytes, tokenizer_hash: bytes | None = None) -> Hash32:
    """
    The id of a model, from what commits to its parts.

    Parameters
    ----------
    weights_root, tokenizer_hash : 32 bytes each; a model that reads no text has no tokenizer.

    Raises
    ------
    InvalidGraph : a root or hash is not 32 bytes long.
    """
    return id_of_hashes(graph_hash(graph_bytes), weights_root, tokenizer_hash)


def graph_hash(graph_bytes: bytes) -> Hash32:
    """The hash of a graph's bytes, as the id commits to it."""
    return keccak256(_GRAPH + graph_bytes)


def id_of_hashes(graph: bytes, weights_root: bytes, tokenizer_hash: bytes | None) -> Hash32:
    """:func:`model_id` of a graph that is known by its hash."""
    for field, value in (("graph", graph), ("weights_root", weights_root), ("tokenizer_hash", tokenizer_hash)):
        if value is not None and len(value) != 32:
            raise InvalidGraph(field, f"{len(value)} bytes instead of 32")
    # Every part has a fixed length but the last, which a byte before announces: no two models have the same bytes.
    tokenizer = b"\x00" if tokenizer_hash is None else b"\x01" + tokenizer_hash
    return keccak256(_MODEL + graph + weights_root + tokenizer)
