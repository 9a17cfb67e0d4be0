"""
The parts that come with Metis, one small class each.

They show all there is to writing a part: a name, and what the interface asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import metis.engine
from metis.types import Address, CompositionError

if TYPE_CHECKING:
    from metis.engine import MemoryStore
    from metis.types import Account

__all__ = ["CollectedFees", "EthereumFees", "Interpreter", "MemoryStateStore", "SequentialExecutor"]


class MemoryStateStore:
    """
    State in this process's memory; gone when the process ends.

    Parameters
    ----------
    kept_block_count : how many of the newest blocks' states can be read, proven and reverted to.
        Memory grows with what those blocks changed, not with the whole state.
    """

    name = "memory"

    def __init__(self, kept_block_count: int = 128) -> None:
        self.kept_block_count = kept_block_count

    def open(self, alloc: Mapping[Address, Account]) -> MemoryStore:
        """Open a fresh store with these accounts as the state of block 0."""
        # Mapping is invariant in its keys, and the engine takes any bytes.
        return metis.engine.MemoryStore(cast("Mapping[bytes, Account]", alloc), self.kept_block_count)


class Interpreter:
    """The engine's own interpreter: complete on its own, and what every other tier must equal."""

    name = "interpreter"
    frame_runner = None


class SequentialExecutor:
    """One transaction after the other, on the thread that asked."""

    name = "sequential"
    scheduler = None


class EthereumFees:
    """EIP-1559 as on Ethereum: the base fee is burned."""

    name = "ethereum"
    base_fee_recipient = None


class CollectedFees:
    """
    EIP-1559 prices, but the base fee goes to one account instead of being burned.

    Parameters
    ----------
    base_fee_recipient : that account: 20 bytes, or "0x" and 40 hexadecimal digits.
    """

    name = "collected"

    def __init__(self, base_fee_recipient: Address | str) -> None:
        if isinstance(base_fee_recipient, str):
            digits = base_fee_recipient.removeprefix("0x")
            try:
                base_fee_recipient = Address(bytes.fromhex(digits))
            except ValueError as error:
                raise CompositionError(
                    "FeePolicy", self.name, f"base_fee_recipient is not an address: {error}"
                ) from error
        if len(base_fee_recipient) != 20:
            problem = f"base_fee_recipient has {len(base_fee_recipient)} bytes; an address has 20"
            raise CompositionError("FeePolicy", self.name, problem)
        self.base_fee_recipient: Address | None = base_fee_recipient
