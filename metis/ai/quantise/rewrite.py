"""Rewriting a float graph into fewer and larger operators, all steps in order."""

from __future__ import annotations

import dataclasses
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
    return fold(absorbed(with_regions(_finite(graph), sample)), sample)


def _finite(graph: FloatGraph) -> FloatGraph:
    """Without choices that depend on whether a number is one: integers always are."""
    producers = graph.producers()
    nodes = []
    for node in graph.nodes:
        condition = producers.get(node.inputs[0]) if node.operator == "Where" else None
        if condition is not None and condition.operator in ("IsNaN", "IsInf"):
            node = dataclasses.replace(node, operator="Identity", inputs=node.inputs[2:])
        nodes.append(node)
    result = dataclasses.replace(graph, nodes=nodes)
    result.prune()
    return result
