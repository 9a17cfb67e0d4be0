"""What the commands of ``metis ai`` have in common: a model in JSON, and the extra that they need."""

from __future__ import annotations

import importlib.util
from collections import Counter
from typing import Any

import typer

from metis.cli.output import hex_text

__all__ = ["described", "gas_of", "has_extra", "require_extra"]


def has_extra() -> bool:
    """Whether the extra ``ai`` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("numpy", "onnx", "safetensors"))


def require_extra() -> None:
    """Refuse with advice where the extra ``ai`` is not installed."""
    if not has_extra():
        raise typer.BadParameter("models need the extra `ai`: pip install 'metis-stack[ai]'")


def described(file: Any) -> dict[str, Any]:
    """A model's file in JSON: ids, tensors, operators, cost."""
    from metis.ai import validate_graph

    model, proven = file.model, validate_graph(file.graph)
    counts = Counter(node.operator for node in file.graph.nodes)
    inputs = zip(file.description.inputs, file.graph.inputs, strict=True)
    outputs = zip(file.description.outputs, file.graph.outputs, strict=True)
    return {
        "model_id": hex_text(model.id),
        "weights_root": hex_text(model.weights.root),
        "tokenizer_hash": None if model.tokenizer_hash is None else hex_text(model.tokenizer_hash),
        "source": file.description.source,
        "inputs": [_tensor(d, t.dtype, t.lo, t.hi) for d, t in inputs],
        "outputs": [_tensor(d, *_facts(proven.tensors[o.tensor])) for d, o in outputs],
        "states": [{"name": s.name, "dtype": s.dtype.name.lower(), "shape": s.shape} for s in file.graph.states],
        "nodes": len(file.graph.nodes),
        "operators": dict(sorted(counts.items())),
        "macs": proven.cost.macs,
        "moved_bytes": proven.cost.moved_bytes,
        "memory_bytes": proven.cost.memory_bytes,
        "weights_bytes": proven.cost.weights_bytes,
        "gas": gas_of(proven),
    }


def gas_of(proven: Any) -> int:
    """Gas of one run from a contract, call data aside, at the prices of the preset "hyperion"."""
    from metis.sdk import Network
    from metis.sdk.inference import gas_of_run

    constants = Network.from_preset("hyperion").chain.inference
    assert constants is not None  # noqa: S101 - the preset has it
    output_bytes = sum(proven.tensors[output.tensor].size_bytes for output in proven.graph.outputs)
    return gas_of_run(constants, proven.cost.macs, proven.cost.moved_bytes, output_bytes)


def _facts(facts: Any) -> tuple[Any, int, int]:
    return facts.dtype, facts.lo, facts.hi


def _tensor(description: Any, dtype: Any, lo: int, hi: int) -> dict[str, Any]:
    return {
        "name": description.name,
        "source": description.source,
        "kind": description.kind,
        "shape": description.shape,
        "dtype": dtype.name.lower(),
        "scale": description.scale,
        "lo": lo,
        "hi": hi,
    }
