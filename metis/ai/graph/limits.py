"""What a graph may be at most: limits of the format, and limits that a chain or a machine sets."""

from __future__ import annotations

import dataclasses
from typing import Final

__all__ = [
    "ATTRIBUTE_VALUES_MAX",
    "CONSTANTS_MAX",
    "DIMENSION_MAX",
    "ELEMENTS_MAX",
    "GRAPH_BYTES_MAX",
    "INPUTS_MAX",
    "NAME_BYTES_MAX",
    "NODES_MAX",
    "NODE_INPUTS_MAX",
    "OUTPUTS_MAX",
    "RANK_MAX",
    "STATES_MAX",
    "Limits",
]

# Limits of format version 1: bytes beyond them are no graph, on any chain.
GRAPH_BYTES_MAX: Final = 4 * 1024 * 1024
INPUTS_MAX: Final = 64
STATES_MAX: Final = 512
CONSTANTS_MAX: Final = 16_384
NODES_MAX: Final = 16_384
OUTPUTS_MAX: Final = 64
NAME_BYTES_MAX: Final = 64
RANK_MAX: Final = 6
DIMENSION_MAX: Final = 1 << 24
ELEMENTS_MAX: Final = 1 << 28
NODE_INPUTS_MAX: Final = 16
ATTRIBUTE_VALUES_MAX: Final = 6


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """
    What one run may cost; validation refuses a graph that passes any of these.

    Attributes
    ----------
    weights_bytes : of all constants, each padded to 64 bytes.
    memory_bytes : the most that inputs, states and results need at one time.
    macs : multiplications with addition, or their equivalent, of one run.
    """

    weights_bytes: int = 1 << 32
    memory_bytes: int = 1 << 32
    macs: int = 1 << 44
