"""
What compiled code and the engine promise each other, as constants: docs/metisvm-abi.md.

The same numbers stand in the engine (crates/metis-vm); a test compares this module with the document.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABI_VERSION",
    "CAUSE_DYNAMIC_GAS",
    "CAUSE_GROW",
    "CAUSE_JUMP",
    "CAUSE_OTHER",
    "CAUSE_SECTION_GAS",
    "CAUSE_STACK",
    "CONTEXT",
    "MAGIC",
    "MEMORY_LENGTH_MAX",
    "STACK_WORDS_MAX",
    "STATUS_DEOPTIMISE",
    "STATUS_JUMP",
    "STATUS_LEFT",
    "WORD_BYTES",
]

ABI_VERSION: Final = 2
MAGIC: Final = b"MTVM"

STATUS_LEFT: Final = 0
STATUS_DEOPTIMISE: Final = 1
STATUS_JUMP: Final = 2

CAUSE_OTHER: Final = 0
CAUSE_SECTION_GAS: Final = 1
CAUSE_STACK: Final = 2
CAUSE_GROW: Final = 3
CAUSE_JUMP: Final = 4
CAUSE_DYNAMIC_GAS: Final = 5
"""Why compiled code deoptimised: bits 8 to 15 of the status."""

WORD_BYTES: Final = 32
STACK_WORDS_MAX: Final = 1024
MEMORY_LENGTH_MAX: Final = 1 << 32

CONTEXT: Final[dict[str, int]] = {
    "stack": 0,
    "stack_length": 8,
    "gas": 16,
    "memory": 24,
    "memory_length": 32,
    "pc": 40,
    "calldata": 48,
    "calldata_length": 56,
    "return_data_length": 64,
    "address": 72,
    "caller": 80,
    "call_value": 88,
    "step": 96,
    "grow": 104,
    "keccak": 112,
    "udiv": 120,
    "umod": 128,
    "sdiv": 136,
    "smod": 144,
    "addmod": 152,
    "mulmod": 160,
    "exp": 168,
    "exp_byte_gas": 176,
    "is_static": 184,
    "sload": 192,
}
"""Field of the context → its offset in bytes."""
