"""Rewriting a float graph into fewer and larger operators, all steps in order."""

from __future__ import annotations

from collections.abc import Mapping

from metis.ai.quantise.absorb import absorbed
from metis.ai.quantise.execution import fold
from metis.ai.quantise.graph import Array, FloatGraph
from metis.ai.quantise.regions import with_regions

__all__ = ["rewritten"]


def rewritten(graph: FloatGraph, sample: Mapping[str, Array]) -> FloatGraph:
    """
    The same function with operators recognised that it spells out.

    Parameters
    ----------
    graph : folded, so that every shape is known. sample : inputs of those shapes.
    """
    return fold(absorbed(with_regions(graph, sample)), sample)
