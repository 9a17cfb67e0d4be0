"""
Revert data in words: the two errors that Solidity and Vyper define, as geth spells them.

In: what a reverted call returned. Out: the RPC error with code 3 and the data, or its reason.
Source: Solidity ABI, "Panic via assert and Error via require"; go-ethereum ``abi.UnpackRevert``.
"""

from __future__ import annotations

from types import MappingProxyType

from metis.rpc.errors import ErrorCode, RpcError

__all__ = ["execution_reverted", "revert_reason"]

ERROR_SELECTOR = bytes.fromhex("08c379a0")  # Error(string)
PANIC_SELECTOR = bytes.fromhex("4e487b71")  # Panic(uint256)
WORD_SIZE_BYTES = 32

PANIC_REASONS = MappingProxyType(
    {
        0x00: "generic panic",
        0x01: "assert(false)",
        0x11: "arithmetic underflow or overflow",
        0x12: "division or modulo by zero",
        0x21: "enum overflow",
        0x22: "invalid encoded storage byte array accessed",
        0x31: "out-of-bounds array access; popping on an empty array",
        0x32: "out-of-bounds access of an array or bytesN",
        0x41: "out of memory",
        0x51: "uninitialized function",
    }
)


def revert_reason(output: bytes) -> str | None:
    """Return the reason inside revert data, or None where it is a custom error or no known form."""
    selector, arguments = output[:4], output[4:]
    if selector == PANIC_SELECTOR and len(arguments) >= WORD_SIZE_BYTES:
        code = int.from_bytes(arguments[:WORD_SIZE_BYTES], "big")
        return PANIC_REASONS.get(code, f"unknown panic code: {code:#x}")
    if selector == ERROR_SELECTOR:
        return _abi_string(arguments)
    return None


def _abi_string(arguments: bytes) -> str | None:
    """Decode the single ABI string in ``arguments``, or return None where it is malformed."""
    offset = int.from_bytes(arguments[:WORD_SIZE_BYTES], "big")
    start = offset + WORD_SIZE_BYTES
    if len(arguments) < start:
        return None
    size_bytes = int.from_bytes(arguments[offset:start], "big")
    text = arguments[start : start + size_bytes]
    # A contract chooses these bytes: what is not UTF-8 is shown, not refused.
    return text.decode("utf-8", "replace") if len(text) == size_bytes else None


def execution_reverted(output: bytes) -> RpcError:
    """Return the error that ethers, viem and web3.py decode custom errors from."""
    reason = revert_reason(output)
    message = f"execution reverted: {reason}" if reason is not None else "execution reverted"
    return RpcError(ErrorCode.EXECUTION_REVERTED, message, f"0x{output.hex()}")
