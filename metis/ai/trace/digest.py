"""Commitments of tensors and runs, Merkle paths, and where two traces first differ; docs/receipts.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from metis.ai.graph.types import DType
from metis.ai.runs import Tensor
from metis.engine import keccak256, tensor_commitments, trace_root
from metis.types import Hash32

__all__ = ["Levels", "Trace", "commitment_of", "first_difference", "levels_of", "path_of", "root_by_path"]

# Level 0 are the leaves, the last level is the one node below the root.
Levels = list[list[bytes]]


@dataclasses.dataclass(frozen=True, slots=True)
class Trace:
    """
    What a run commits to.

    Attributes
    ----------
    points : the tensors' numbers, as :func:`metis.ai.trace.points_of` gives them.
    commitments : one for each.
    """

    points: tuple[int, ...]
    commitments: tuple[Hash32, ...]

    @property
    def root(self) -> Hash32:
        """The hash that commits to all of them."""
        return Hash32(trace_root(list(self.commitments)))


def commitment_of(value: Tensor) -> Hash32:
    """The commitment of a tensor of one of the format's types."""
    raw = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes()
    dtype = DType(value.dtype.itemsize.bit_length())
    return Hash32(tensor_commitments([(dtype, list(value.shape), raw)])[0])


def levels_of(leaves: Sequence[bytes]) -> Levels:
    """All levels of the tree over leaves: pairs are hashed, a last one without a partner goes up as it is."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        level = levels[-1]
        above: list[bytes] = [keccak256(level[left] + level[left + 1]) for left in range(0, len(level) - 1, 2)]
        levels.append(above + level[len(above) * 2 :])
    return levels


def path_of(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The partners that lead from a leaf to the top, lowest first; none where it had none."""
    path = []
    for level in levels_of(leaves)[:-1]:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        index //= 2
    return path


def root_by_path(leaf: bytes, index: int, count: int, path: Sequence[bytes], tag: bytes) -> Hash32 | None:
    """
    The root that a leaf and its path lead to: the hash of ``tag``, the number of leaves and the top.

    Returns None where the path is not as long as that of leaf ``index`` of ``count``.
    """
    if not 0 <= index < count:
        return None
    node, width, rest = leaf, count, list(path)
    while width > 1:
        if index ^ 1 < width:
            if not rest:
                return None
            partner = rest.pop(0)
            node = keccak256(partner + node if index & 1 else node + partner)
        index, width = index // 2, (width + 1) // 2
    return None if rest else keccak256(tag + count.to_bytes(4, "little") + node)


def first_difference(count: int, own: Levels, claimed: Callable[[int, int], bytes]) -> int | None:
    """
    The first leaf in which a claimed tree differs from one's own, by bisection from the top.

    Parameters
    ----------
    count : leaves of both.
    claimed : the claimed hash at (level, place); asked about twice the logarithm of ``count`` times.
    """
    level, place = len(own) - 1, 0
    if not count or claimed(level, place) == own[level][place]:
        return None
    while level:
        level, place = level - 1, place * 2
        # A child equal on the left is a subtree without a difference: it is on the right.
        if claimed(level, place) == own[level][place]:
            place += 1
    return place
