"""
The graph format: a model as integer operators, its bytes, its proof and its cost. Specified in docs/ai-graph.md.

    types.py               element types, declarations, nodes, graphs
    limits.py              what a graph may be at most
    schema.py              operators by code and name
    structure.py           what holds before shapes are looked at
    encoding.py            a graph's only encoding
    rule.py, rules_*.py    shapes, bounds and work of each operator
    validation.py          a graph → what is proven of it, and its cost
    weights.py             constants as bytes, in chunks under a Merkle root
    model.py               graph, weights, tokenizer; the model's id
    builder.py             making graphs
"""

from metis.ai.graph.builder import GraphBuilder
from metis.ai.graph.encoding import GRAPH_FORMAT_VERSION, GRAPH_MAGIC, decode_graph, encode_graph
from metis.ai.graph.limits import Limits
from metis.ai.graph.model import Model, graph_hash, id_of_hashes, model_id
from metis.ai.graph.schema import OPERATOR_OF_CODE, OPERATORS, Attribute, AttributeKind, Operator, attributes_of
from metis.ai.graph.types import AttributeValue, Declaration, DType, Graph, Node, Output, TensorFacts
from metis.ai.graph.validation import Cost, ProvenGraph, validate_graph
from metis.ai.graph.weights import CHUNK_BYTES, Weights, verify_chunk

__all__ = [
    "CHUNK_BYTES",
    "GRAPH_FORMAT_VERSION",
    "GRAPH_MAGIC",
    "OPERATORS",
    "OPERATOR_OF_CODE",
    "Attribute",
    "AttributeKind",
    "AttributeValue",
    "Cost",
    "DType",
    "Declaration",
    "Graph",
    "GraphBuilder",
    "Limits",
    "Model",
    "Node",
    "Operator",
    "Output",
    "ProvenGraph",
    "TensorFacts",
    "Weights",
    "attributes_of",
    "decode_graph",
    "encode_graph",
    "graph_hash",
    "id_of_hashes",
    "model_id",
    "validate_graph",
    "verify_chunk",
]
