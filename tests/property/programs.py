"""Bytecode as Hypothesis values: mostly sensible enough to get somewhere before it fails."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["init_codes", "programs"]

# Without SELFDESTRUCT, which may burn coins, and without the ways to leave the frame too early.
_PLAIN_OPCODES = (
    *range(0x01, 0x0C),  # arithmetic
    *range(0x10, 0x1F),  # comparison and bits
    0x20,  # KECCAK256
    *range(0x30, 0x40),  # environment
    *range(0x40, 0x4B),  # block
    *range(0x50, 0x5F),  # stack, memory, storage, flow; MCOPY and transient storage
    *range(0x80, 0x88),  # DUP
    *range(0x90, 0x98),  # SWAP
    *range(0xA0, 0xA3),  # LOG
    *(0xF0, 0xF1, 0xF2, 0xF4, 0xF5, 0xFA),  # creates and calls
)
_ENDS = (0x00, 0x00, 0x00, 0xF3, 0xFD, 0xFE)

_pushes = st.one_of(
    st.just(b"\x5f"),
    st.integers(0, 64).map(lambda value: bytes([0x60, value])),
    st.integers(0, 2**16 - 1).map(lambda value: b"\x61" + value.to_bytes(2, "big")),
    st.binary(min_size=20, max_size=20).map(lambda address: b"\x73" + address),
    st.binary(min_size=32, max_size=32).map(lambda word: b"\x7f" + word),
)

# Opcodes with operands that make sense, so that programs reach storage, logs and other accounts.
_whole_steps = st.sampled_from(
    [
        bytes.fromhex(step)
        for step in (
            "6001600255",  # SSTORE 2 := 1
            "5f600255",  # SSTORE 2 := 0
            "60074355",  # SSTORE NUMBER := 7
            "60025450",  # SLOAD 2
            "600160025d",  # TSTORE 2 := 1
            "60ff601f52",  # MSTORE
            "60205fa0",  # LOG0 of a word
            "4260205fa1",  # LOG1 of a word, with the time
            "6001430340600355",  # SSTORE 3 := hash of the parent
            "5f5f5f5f5f305af150",  # CALL itself
            "5f5f5f5f6001335af150",  # CALL the caller with a wei
            "5f5f5f5f335af450",  # DELEGATECALL the caller
            "5f5f5ff050",  # CREATE of nothing
            "60015f5f5ff550",  # CREATE2 of nothing
        )
    ]
)
_plain_steps = st.sampled_from(_PLAIN_OPCODES).map(lambda opcode: bytes([opcode]))
_steps = st.one_of(*[_whole_steps] * 6, _pushes, _pushes, _plain_steps)

programs = st.builds(
    lambda steps, end: b"".join(steps) + bytes([end]),
    st.lists(_steps, max_size=40),
    st.sampled_from(_ENDS),
)


def _deploying(code: bytes) -> bytes:
    """Init code that returns ``code``: copy what follows these twelve bytes, and return it."""
    size = len(code).to_bytes(2, "big")
    return b"\x61" + size + b"\x60\x0c\x5f\x39\x61" + size + b"\x5f\xf3\x00" + code


init_codes = st.one_of(programs, programs.map(_deploying))
