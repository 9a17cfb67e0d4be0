"""Compiling a piece of code and running it in both tiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metis import engine
from metis.vm.compiler.artifact import Artifact
from metis.vm.compiler.options import Options
from metis.vm.compiler.pipeline import compile_code

__all__ = ["FORK", "compiled", "counts", "difference", "push"]

FORK = "Osaka"


def push(value: int) -> bytes:
    """PUSH of a word, as narrow as it can be."""
    size = max(1, (value.bit_length() + 7) // 8)
    return bytes([0x5F + size]) + value.to_bytes(size, "big")


def compiled(code: bytes, fork: str = FORK, level: int = 0) -> engine.CodeRegistry:
    """A registry that has this code compiled."""
    artifact = compile_code(code, fork, Options(level=level))
    assert isinstance(artifact, Artifact), artifact
    registry = engine.CodeRegistry("eager")
    registry.install(artifact.data)
    return registry


def difference(
    code: bytes, calldata: bytes = b"", gas_limits: Sequence[int] = (100_000,), fork: str = FORK, level: int = 0
) -> dict[str, Any] | None:
    """What is different between tier 0 and compiled code, None where nothing is."""
    spec = engine.ChainSpec.at_fork(fork)
    registry = compiled(code, fork, level)
    found = engine.compare_tiers(spec, code, calldata, list(gas_limits), registry)
    assert counts(registry)["frames_compiled"] >= len(gas_limits), "nothing ran compiled"
    return found


def counts(registry: engine.CodeRegistry) -> dict[str, Any]:
    """The registry's row of the one code that it has."""
    (row,) = registry.report()
    return row
