"""
Compiled code: what is hot, what is loaded, and what compilers must know of the engine.

A :data:`CodeRegistry` is given to executions and nodes. They count gas in it, and run what it holds
compiled; who compiles takes what is hot from it and installs artifacts (docs/metisvm-abi.md).
Invariant: results are the same with and without a registry. What a method costs is said at
``metis/engine/_native.pyi``.
"""

from __future__ import annotations

from metis.engine import _native

__all__ = ["CodeRegistry", "compiled_code_abi", "machine_target", "opcode_table"]

CodeRegistry = _native.CodeRegistry
"""Heat and machine code of every contract's code."""

machine_target = _native.machine_target
compiled_code_abi = _native.compiled_code_abi
opcode_table = _native.opcode_table
