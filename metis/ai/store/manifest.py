"""What a model consists of: the hashes from which its id follows."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

from metis.ai.file import Description, ModelFile
from metis.ai.graph import graph_hash, id_of_hashes
from metis.ai.graph.weights import CHUNK_BYTES, leaf_hash, root_of_leaves
from metis.engine import keccak256
from metis.types import Hash32, InvalidModelFile, InvalidWeights

__all__ = ["MANIFEST_BYTES_MAX", "Manifest"]

# 1,048,576 chunks, which are 64 GiB, and a description.
MANIFEST_BYTES_MAX: Final = 1 << 27


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """
    The parts of a model, by hash.

    Attributes
    ----------
    graph : hash of the graph's bytes. tokenizer : of the tokenizer's file, None for a model that reads no text.
    leaves : of each chunk of weights, in order. weights_length : bytes of the weights.
    description : what the model's integers mean; no part of the id, and so not to be relied on.
    """

    graph: Hash32
    tokenizer: Hash32 | None
    leaves: tuple[Hash32, ...]
    weights_length: int
    description: Description

    @classmethod
    def of(cls, file: ModelFile) -> Manifest:
        """That of a model's file; raises :class:`metis.types.InvalidModelFile` where its weights cannot be read."""
        weights = file.model.weights
        return cls(
            graph_hash(file.graph_bytes),
            None if file.tokenizer is None else keccak256(file.tokenizer),
            tuple(leaf_hash(chunk) for chunk in weights.chunks),
            len(weights.raw),
            file.description,
        )

    @property
    def model_id(self) -> Hash32:
        """The id that follows; raises :class:`metis.types.InvalidWeights` where leaves and length do not fit."""
        return id_of_hashes(self.graph, root_of_leaves(self.weights_length, self.leaves), self.tokenizer)

    def chunk_length(self, index: int) -> int:
        """Bytes of a chunk."""
        return min(CHUNK_BYTES, self.weights_length - index * CHUNK_BYTES)

    def encode(self) -> bytes:
        """JSON, for people to read."""
        document = {
            "version": 1,
            "graph": f"0x{self.graph.hex()}",
            "tokenizer": None if self.tokenizer is None else f"0x{self.tokenizer.hex()}",
            "weights_length": self.weights_length,
            "leaves": [f"0x{leaf.hex()}" for leaf in self.leaves],
            "description": json.loads(self.description.encode()),
        }
        return json.dumps(document, indent=1).encode()

    @classmethod
    def decode(cls, raw: bytes, model_id: bytes) -> Manifest:
        """
        The manifest of the model with this id.

        Raises
        ------
        InvalidModelFile : it is not one, or another model's.
        """
        try:
            document = json.loads(raw)
            description = json.dumps(document["description"], sort_keys=True, separators=(",", ":")).encode()
            manifest = cls(
                _hash(document["graph"]),
                None if document["tokenizer"] is None else _hash(document["tokenizer"]),
                tuple(map(_hash, document["leaves"])),
                int(document["weights_length"]),
                Description.decode(description),
            )
            found = manifest.model_id
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError, InvalidWeights) as error:
            raise InvalidModelFile("manifest", f"it is not as described in docs/inference.md: {error}") from None
        if found != model_id:
            raise InvalidModelFile("manifest", f"it is that of model 0x{found.hex()}")
        return manifest


def _hash(text: Any) -> Hash32:
    if not isinstance(text, str) or len(text) != 66 or not text.startswith("0x"):
        raise ValueError("a hash is 32 bytes in hex")
    return Hash32(bytes.fromhex(text[2:]))
