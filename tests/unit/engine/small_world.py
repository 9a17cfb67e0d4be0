"""A few accounts and transactions that engine tests share."""

from __future__ import annotations

from typing import Any

from metis import engine
from metis.engine import ChainSpec, MemoryStore, TransactionHandle
from metis.sdk import MemoryStateStore
from metis.types import Account, Address, BlockEnvironment, Gas, UnsignedTransaction, Wei

__all__ = ["ALICE", "BOB", "ENVIRONMENT", "LOGGER", "SPEC", "STOPPER", "open_world", "transfer"]

ALICE = Address(bytes([0xA1]) * 20)
BOB = Address(bytes([0xB0]) * 20)
LOGGER = Address(bytes([0x10]) * 20)
STOPPER = Address(bytes([0x57]) * 20)

SPEC = ChainSpec.at_fork("Osaka")
ENVIRONMENT = BlockEnvironment(gas_limit=Gas(1_000_000))

# CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY, then LOG1 of it with topic 7.
_LOGGER_CODE = bytes.fromhex("365f5f376007365fa100")
# With calldata: REVERT with it. Without: an invalid opcode.
_STOPPER_CODE = bytes.fromhex("36600557fe5b365f5f37365ffd")


def open_world() -> MemoryStore:
    """A store with Alice, who is rich, and two contracts."""
    return MemoryStateStore().open(
        {
            ALICE: Account(balance_wei=Wei(10**18)),
            LOGGER: Account(nonce=1, code=_LOGGER_CODE),
            STOPPER: Account(nonce=1, code=_STOPPER_CODE),
        }
    )


def transfer(**fields: Any) -> TransactionHandle:
    """Alice sends Bob one wei; any field may be given another value."""
    defaults: dict[str, Any] = {
        "sender": ALICE,
        "nonce": 0,
        "gas_limit": Gas(100_000),
        "gas_price_wei": Wei(0),
        "to": BOB,
        "value_wei": Wei(1),
    }
    return engine.unsigned_transaction(UnsignedTransaction(**{**defaults, **fields}))
