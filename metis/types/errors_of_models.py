"""What can go wrong with models: importing them, their files, their graphs, weights and inputs."""

from __future__ import annotations

from metis.types.error_root import MetisError

__all__ = [
    "InvalidGraph",
    "InvalidInput",
    "InvalidModelFile",
    "InvalidReceipt",
    "InvalidWeights",
    "ModelStoreError",
    "ModelUnavailable",
    "RequestRefused",
    "UnsupportedModel",
]


class UnsupportedModel(MetisError):
    """
    A float model cannot become an integer graph, because of one operator.

    Attributes
    ----------
    operator : its name in the model's format, such as "ConvTranspose".
    node : what the model calls the node.
    problem : what is not supported, and where there is a way around it, which.
    """

    slug = "unsupported-model"

    def __init__(self, operator: str, node: str, problem: str) -> None:
        super().__init__(f"operator {operator} (node {node!r}): {problem}")
        self.operator = operator
        self.node = node
        self.problem = problem


class InvalidModelFile(MetisError):
    """
    A file is not what it should be: a model, a float model to import, calibration data.

    Attributes
    ----------
    field : the part of the file, such as "magic", "graph.node[3]", "calibration".
    problem : what is wrong with it.
    """

    slug = "invalid-model-file"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"model file: {field}: {problem}")
        self.field = field
        self.problem = problem


class InvalidGraph(MetisError):
    """
    A model's graph breaks a rule of its format, may overflow, or costs more than it may.

    Attributes
    ----------
    field : path of what is wrong: "nodes[3]", "inputs[0].shape", "macs", …
    problem : the rule with the values that break it.
    """

    slug = "invalid-graph"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"graph: field {field!r}: {problem}")
        self.field = field
        self.problem = problem


class InvalidWeights(MetisError):
    """
    Weights are not those of the model, or leave the ranges that its graph declares.

    Attributes
    ----------
    field : "length", "offset", "root", "chunks[3]", "constants[2]", "padding".
    problem : what is wrong with it.
    """

    slug = "invalid-weights"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"weights: field {field!r}: {problem}")
        self.field = field
        self.problem = problem


class InvalidInput(MetisError):
    """
    An input or a state given to a model is missing, unknown, or not what its graph declares. Nothing has run.

    Attributes
    ----------
    name : which one. problem : what is wrong with it.
    """

    slug = "invalid-input"

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"model input {name!r}: {problem}")
        self.name = name
        self.problem = problem


class InvalidReceipt(MetisError):
    """
    An execution receipt, or what should prove it, is not what it should be (docs/receipts.md).

    Attributes
    ----------
    field : the part, such as "cost_wei", "payer-signature", "trace", "batch-path".
    problem : what is wrong with it.
    """

    slug = "invalid-receipt"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"receipt: {field}: {problem}")
        self.field = field
        self.problem = problem


class RequestRefused(MetisError):
    """
    A worker does not take a request. Nothing was charged.

    Attributes
    ----------
    reason : stable slug: "nonce-too-low", "max-cost", "deadline", "signature", "payer", "model", "busy", …
    problem : what is wrong, with the values.
    status : of the HTTP response.
    """

    slug = "request-refused"

    def __init__(self, reason: str, problem: str, status: int = 400) -> None:
        super().__init__(f"{reason}: {problem}")
        self.reason = reason
        self.problem = problem
        self.status = status


class ModelStoreError(MetisError):
    """
    A store of models cannot be read or written.

    Attributes
    ----------
    url : the store. problem : what it answered.
    """

    slug = "model-store"

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"model store {url}: {problem}")
        self.url = url
        self.problem = problem


class ModelUnavailable(MetisError):
    """
    A model is active on the chain, but its graph and weights are not on this machine; nothing has happened.

    A node fetches them or stops: to leave the call out or to guess would fork the chain.

    Attributes
    ----------
    model_id : 32 bytes.
    """

    slug = "model-unavailable"

    def __init__(self, model_id: bytes) -> None:
        super().__init__(
            f"model 0x{model_id.hex()} is active, but not on this machine: add it to the node's model store"
        )
        self.model_id = model_id
