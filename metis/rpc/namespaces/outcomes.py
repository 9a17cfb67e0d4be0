"""What a call that did not succeed is answered with."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.reverts import execution_reverted

__all__ = ["HALT_WORDS", "outcome_error"]

HALT_WORDS = MappingProxyType(
    {
        "out-of-gas": "out of gas",
        "memory-limit": "out of gas",
        "unknown-opcode": "invalid opcode",
        "invalid-opcode": "invalid opcode: INVALID",
        "invalid-jump": "invalid jump destination",
        "stack-underflow": "stack underflow",
        "stack-overflow": "stack limit reached",
        "offset-out-of-bounds": "return data out of bounds",
        "create-collision": "contract address collision",
        "code-too-large": "max code size exceeded",
        "code-starts-with-ef": "invalid code: must not begin with 0xef",
        "initcode-too-large": "max initcode size exceeded",
        "nonce-overflow": "nonce uint64 overflow",
        "write-in-static-call": "write protection",
        "insufficient-balance": "insufficient balance for transfer",
        "call-too-deep": "max call depth exceeded",
    }
)
"""geth's words for halts that clients look for; another reason is told as it is."""


def outcome_error(outcome: dict[str, Any]) -> RpcError:
    """Return the error of a call that reverted or halted."""
    if outcome["status"] == "revert":
        return execution_reverted(outcome["output"])
    reason = outcome["halt_reason"] or "halted"
    return RpcError(ErrorCode.INVALID_INPUT, HALT_WORDS.get(reason, reason))
