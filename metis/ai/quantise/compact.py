"""A graph without what nothing reads: rules may prepare more than their result needs."""

from __future__ import annotations

import dataclasses

from metis.ai.graph import OPERATORS, Graph, Model, Node, Output, Weights

__all__ = ["without_unused"]


def without_unused(model: Model) -> Model:
    """The same outputs and states from only the nodes and constants that they depend on."""
    graph = model.graph
    base = len(graph.declarations)
    owner = [index for index, node in enumerate(graph.nodes) for _ in range(OPERATORS[node.operator].output_count)]
    first = [0] * len(graph.nodes)
    for place in range(len(owner) - 1, -1, -1):
        first[owner[place]] = base + place
    used = {*graph.updates, *(output.tensor for output in graph.outputs)}
    kept_nodes = []
    for index in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[index]
        if any(first[index] + result in used for result in range(OPERATORS[node.operator].output_count)):
            used.update(node.inputs)
            kept_nodes.append(index)
    kept_nodes.reverse()
    constants = [place for place in range(len(graph.constants)) if graph.first_constant + place in used]
    order = [
        *range(graph.first_constant),
        *(graph.first_constant + place for place in constants),
        *(first[index] + r for index in kept_nodes for r in range(OPERATORS[graph.nodes[index].operator].output_count)),
    ]
    number = {old: new for new, old in enumerate(order)}
    values = model.weights.values(graph)
    smaller = Graph(
        inputs=graph.inputs,
        constants=tuple(graph.constants[place] for place in constants),
        nodes=tuple(
            Node(node.operator, tuple(number[tensor] for tensor in node.inputs), node.attributes)
            for node in (graph.nodes[index] for index in kept_nodes)
        ),
        outputs=tuple(Output(output.name, number[output.tensor]) for output in graph.outputs),
        states=graph.states,
        updates=tuple(number[tensor] for tensor in graph.updates),
    )
    return dataclasses.replace(
        model, graph=smaller, weights=Weights.of(smaller, [values[place] for place in constants])
    )
