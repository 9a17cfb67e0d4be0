"""A small assembler: opcode names and numbers to bytecode, and the snippets that cases are made of."""

from __future__ import annotations

__all__ = ["OPCODES", "assemble", "call", "deployer", "push", "store_top"]

NAMES = {
    0x00: "STOP ADD MUL SUB DIV SDIV MOD SMOD ADDMOD MULMOD EXP SIGNEXTEND",
    0x10: "LT GT SLT SGT EQ ISZERO AND OR XOR NOT BYTE SHL SHR SAR CLZ",
    0x20: "KECCAK256",
    0x30: "ADDRESS BALANCE ORIGIN CALLER CALLVALUE CALLDATALOAD CALLDATASIZE CALLDATACOPY CODESIZE CODECOPY "
    "GASPRICE EXTCODESIZE EXTCODECOPY RETURNDATASIZE RETURNDATACOPY EXTCODEHASH",
    0x40: "BLOCKHASH COINBASE TIMESTAMP NUMBER PREVRANDAO GASLIMIT CHAINID SELFBALANCE BASEFEE BLOBHASH BLOBBASEFEE",
    0x50: "POP MLOAD MSTORE MSTORE8 SLOAD SSTORE JUMP JUMPI PC MSIZE GAS JUMPDEST TLOAD TSTORE MCOPY PUSH0",
    0xA0: "LOG0 LOG1 LOG2 LOG3 LOG4",
    0xF0: "CREATE CALL CALLCODE RETURN DELEGATECALL CREATE2",
    0xFA: "STATICCALL",
    0xFD: "REVERT INVALID SELFDESTRUCT",
}

OPCODES: dict[str, int] = {name: base + i for base, names in NAMES.items() for i, name in enumerate(names.split())}
OPCODES |= {f"DUP{n}": 0x7F + n for n in range(1, 17)} | {f"SWAP{n}": 0x8F + n for n in range(1, 17)}

Item = str | int | bytes


def push(value: int, width: int = 0) -> bytes:
    """Push ``value`` with PUSH1 to PUSH32 (so that every fork knows it), at least ``width`` bytes wide."""
    size = max(width, 1, (value.bit_length() + 7) // 8)
    return bytes([0x5F + size]) + value.to_bytes(size, "big")


def assemble(*items: Item) -> bytes:
    """Names are opcodes, integers are pushed, bytes are taken as they are."""
    code = b""
    for item in items:
        if isinstance(item, str):
            code += bytes([OPCODES[item]])
        elif isinstance(item, int):
            code += push(item)
        else:
            code += item
    return code


def store_top(slot: int) -> bytes:
    """Pop the top of the stack into a storage slot."""
    return assemble(slot, "SSTORE")


def call(
    kind: str,
    target: bytes,
    *,
    gas: int | None = None,
    value_wei: int = 0,
    arguments: tuple[int, int] = (0, 0),
    result: tuple[int, int] = (0, 0),
) -> bytes:
    """
    Call ``target``, leaving the success flag on the stack.

    Parameters
    ----------
    kind : CALL, CALLCODE, DELEGATECALL or STATICCALL.
    gas : forwarded gas; None forwards all that is left.
    arguments, result : (offset, size) in memory, bytes.
    """
    value = (value_wei,) if kind in {"CALL", "CALLCODE"} else ()
    forwarded: Item = "GAS" if gas is None else gas
    return assemble(
        *reversed(result), *reversed(arguments), *value, push(int.from_bytes(target, "big"), 20), forwarded, kind
    )


def deployer(runtime: bytes) -> bytes:
    """Creation code that deploys ``runtime``."""
    prologue_size = 12
    size, offset = push(len(runtime), 2), push(prologue_size)
    code = assemble(size, "DUP1", offset, 0, "CODECOPY", 0, "RETURN")
    assert len(code) == prologue_size, len(code)
    return code + runtime
