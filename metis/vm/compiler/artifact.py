"""
The container that carries machine code from the compiler to the engine: docs/metisvm-abi.md, "Artifact".

Written here and checked by the engine, which refuses whatever deviates; :func:`describe` reads the header
for reports and for the cache.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from metis.engine import fork_names, keccak256, machine_target
from metis.vm.compiler.abi import ABI_VERSION, MAGIC

__all__ = ["Artifact", "pack"]

_HEADER = struct.Struct("<4sHH32sB3xIIII32s")


@dataclass(frozen=True, slots=True)
class Artifact:
    """
    Compiled code.

    Attributes
    ----------
    code_hash : Keccak-256 of the bytecode.
    fork : canonical name of the fork it was compiled for.
    data : the container.
    """

    code_hash: bytes
    fork: str
    data: bytes


def pack(code: bytes, fork: str, entries: dict[int, int], region_count: int, machine_code: bytes) -> Artifact:
    """
    Put an object into its container.

    Parameters
    ----------
    entries : program counter → number of the region that it enters.
    machine_code : ELF64 object with the functions ``region_0`` … .
    """
    code_hash = keccak256(code)
    parts = [
        _HEADER.pack(
            MAGIC,
            ABI_VERSION,
            0,
            code_hash,
            fork_names().index(fork),
            len(code),
            region_count,
            len(entries),
            len(machine_code),
            keccak256(machine_target().encode()),
        )
    ]
    for region in range(region_count):
        symbol = f"region_{region}".encode()
        parts.append(struct.pack("<I", len(symbol)) + symbol)
    parts += [struct.pack("<II", pc, region) for pc, region in sorted(entries.items())]
    parts.append(machine_code)
    return Artifact(code_hash, fork, b"".join(parts))
