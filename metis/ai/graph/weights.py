"""
A model's weights: the values of a graph's constants in one run of bytes, cut into chunks under a Merkle root.

Each constant is little-endian, in the order of the graph, padded with zeros to 64 bytes, so that the bytes can be
read into memory and used in place. The root commits to the length too, so a chunk is known by its index alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from metis.ai.graph.types import Declaration, DType, Graph
from metis.ai.graph.validation import facts_of, padded_bytes
from metis.engine import keccak256
from metis.types import Hash32, InvalidWeights

__all__ = ["CHUNK_BYTES", "NUMPY_TYPES", "Weights", "leaf_hash", "root_of_leaves", "verify_chunk"]

CHUNK_BYTES: Final = 64 * 1024

# Domains of the hashes: no byte string is a leaf, an inner node and a root at once.
_LEAF: Final = b"\x00"
_INNER: Final = b"\x01"
_ROOT: Final = b"metis/ai/weights/v1\x00"
_EMPTY: Final = bytes(32)

# Little-endian on every machine: these are bytes of a format, not numbers of this processor.
NUMPY_TYPES: Final = {DType.INT8: "<i1", DType.INT16: "<i2", DType.INT32: "<i4", DType.INT64: "<i8"}


@dataclasses.dataclass(frozen=True, slots=True)
class Weights:
    """
    The bytes of all constants.

    Attributes
    ----------
    raw : the constants, each padded to 64 bytes; chunks are its parts of 65,536 bytes, the last may be shorter.
    """

    raw: bytes

    @classmethod
    def of(cls, graph: Graph, values: Sequence[npt.ArrayLike]) -> Weights:
        """
        The weights of a graph from its constants' values, in order.

        Raises
        ------
        InvalidWeights : the values are not integers of the declared shapes and ranges.
        """
        if len(values) != len(graph.constants):
            raise InvalidWeights("length", f"{len(values)} values for {len(graph.constants)} constants")
        out = bytearray()
        for index, (tensor, value) in enumerate(zip(graph.constants, values, strict=True)):
            array = np.asarray(value)
            if array.dtype.kind != "i" or array.shape != tensor.shape:
                problem = f"{array.dtype} {array.shape} is not {tensor.dtype.name.lower()} {tensor.shape}"
                raise InvalidWeights(f"constants[{index}]", problem)
            _check_range(index, tensor, array)
            out += array.astype(NUMPY_TYPES[tensor.dtype]).tobytes()
            out += bytes(padded_bytes(len(out)) - len(out))
        return cls(bytes(out))

    @property
    def chunks(self) -> list[bytes]:
        """The parts that are hashed, kept and fetched one by one."""
        return [self.raw[begin : begin + CHUNK_BYTES] for begin in range(0, len(self.raw), CHUNK_BYTES)]

    @property
    def root(self) -> Hash32:
        """The hash that commits to all bytes and their number."""
        return root_of_leaves(len(self.raw), [leaf_hash(chunk) for chunk in self.chunks])

    def proof(self, index: int) -> list[Hash32]:
        """
        The hashes that lead from a chunk to the root, lowest first.

        Raises
        ------
        InvalidWeights : there is no such chunk.
        """
        level = [leaf_hash(chunk) for chunk in self.chunks]
        if not 0 <= index < len(level):
            raise InvalidWeights(f"chunks[{index}]", f"there are {len(level)}")
        siblings = []
        while len(level) > 1:
            if index ^ 1 < len(level):
                siblings.append(level[index ^ 1])
            level, index = _parents(level), index // 2
        return siblings

    def values(self, graph: Graph) -> list[npt.NDArray[np.generic]]:
        """
        The constants of a graph, each of its type and shape, without copying.

        Raises
        ------
        InvalidWeights : the bytes are too many or too few, padding is not zero, or a value leaves its declared range.
        """
        expected = sum(padded_bytes(facts_of(tensor).size_bytes) for tensor in graph.constants)
        if len(self.raw) != expected:
            raise InvalidWeights("length", f"{len(self.raw)} bytes instead of {expected}")
        values: list[npt.NDArray[np.generic]] = []
        begin = 0
        for index, tensor in enumerate(graph.constants):
            facts = facts_of(tensor)
            flat = np.frombuffer(self.raw, NUMPY_TYPES[tensor.dtype], facts.element_count, begin)
            end = begin + facts.size_bytes
            begin += padded_bytes(facts.size_bytes)
            if any(self.raw[end:begin]):
                raise InvalidWeights("padding", f"the bytes after constant {index} are not zero")
            _check_range(index, tensor, flat)
            values.append(flat.reshape(tensor.shape))
        return values


def leaf_hash(chunk: bytes) -> Hash32:
    """The hash of a chunk in the tree."""
    return keccak256(_LEAF + chunk)


def root_of_leaves(length_bytes: int, leaves: Sequence[Hash32]) -> Hash32:
    """
    The root of weights of ``length_bytes`` bytes whose chunks have these hashes.

    Raises
    ------
    InvalidWeights : so many bytes have another number of chunks.
    """
    count = -(-length_bytes // CHUNK_BYTES)
    if len(leaves) != count:
        raise InvalidWeights("chunks", f"{len(leaves)} hashes for {length_bytes} bytes, which have {count} chunks")
    return _root(length_bytes, _merkle_root(list(leaves)))


def verify_chunk(root: bytes, length_bytes: int, index: int, chunk: bytes, proof: Sequence[bytes]) -> None:
    """
    Check that a chunk is the one at ``index`` of the weights with a root and a length.

    Raises
    ------
    InvalidWeights : it is not; the field names the chunk.
    """
    field = f"chunks[{index}]"
    count = -(-length_bytes // CHUNK_BYTES)
    if not 0 <= index < count or length_bytes >= 1 << 64:
        raise InvalidWeights(field, f"{length_bytes} bytes have {count} chunks")
    expected = min(CHUNK_BYTES, length_bytes - index * CHUNK_BYTES)
    if len(chunk) != expected:
        raise InvalidWeights(field, f"{len(chunk)} bytes instead of {expected}")
    node, place, width, siblings = leaf_hash(chunk), index, count, list(proof)
    while width > 1:
        if place ^ 1 < width:
            if not siblings:
                raise InvalidWeights(field, "its proof is too short")
            sibling = siblings.pop(0)
            node = keccak256(_INNER + (sibling + node if place & 1 else node + sibling))
        place, width = place // 2, (width + 1) // 2
    if siblings or _root(length_bytes, node) != root:
        raise InvalidWeights(field, "its proof does not lead to the root")


def _root(length_bytes: int, top: bytes) -> Hash32:
    return keccak256(_ROOT + length_bytes.to_bytes(8, "little") + top)


def _parents(level: list[Hash32]) -> list[Hash32]:
    """The level above: pairs are hashed, a last one without a partner goes up as it is."""
    pairs = [keccak256(_INNER + level[left] + level[left + 1]) for left in range(0, len(level) - 1, 2)]
    return pairs + level[len(pairs) * 2 :]


def _merkle_root(level: list[Hash32]) -> bytes:
    while len(level) > 1:
        level = _parents(level)
    return level[0] if level else _EMPTY


def _check_range(index: int, tensor: Declaration, values: npt.NDArray[np.generic]) -> None:
    lo, hi = int(values.min()), int(values.max())
    if lo < tensor.lo or hi > tensor.hi:
        raise InvalidWeights(f"constants[{index}]", f"it has {lo} to {hi}, declared are {tensor.lo} to {tensor.hi}")
