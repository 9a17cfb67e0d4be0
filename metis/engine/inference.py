"""
Models that run: integer graphs on the engine's kernels.

Bytes in, bytes out: :mod:`metis.ai` gives them meaning. What a method costs is said at ``metis/engine/_native.pyi``.
"""

from __future__ import annotations

from metis.engine import _native

__all__ = [
    "ChainPrecompiles",
    "InferenceModel",
    "ModelSet",
    "ProductCheck",
    "inference_kernels",
    "prove_graph",
    "tensor_commitments",
    "trace_root",
]

ChainPrecompiles = _native.ChainPrecompiles
"""A chain's own precompiles, for somebody else's virtual machine."""

InferenceModel = _native.InferenceModel
"""A model that is proven, with its weights checked."""

ModelSet = _native.ModelSet
"""The models that contracts can call, by id."""

ProductCheck = _native.ProductCheck
"""Freivalds' check of matrix products."""

inference_kernels = _native.inference_kernels
prove_graph = _native.prove_graph
tensor_commitments = _native.tensor_commitments
trace_root = _native.trace_root
