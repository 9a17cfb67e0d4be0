"""
What is decided about the next block: its time, its gas limit, who gets its tips.

In: settings, and what tests asked for. Out: attributes for the engine. Invariant: what was asked for one
block is used by one block.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import metis.types
from metis.engine import Node, keccak256
from metis.node.clock import Clock
from metis.types import Address, Gas, Hash32, TimestampS

if TYPE_CHECKING:
    from metis.types import BlockAttributes

__all__ = ["TIP_WEI", "HeaderChoices", "NextBlock", "next_gas_limit"]

TIP_WEI = 10**9
"""What a transaction that names no fees offers."""
GAS_LIMIT_BOUND_DIVISOR = 1_024
GAS_LIMIT_MIN = 5_000


@dataclass(frozen=True, slots=True)
class HeaderChoices:
    """
    What headers have.

    Attributes
    ----------
    coinbase : who gets tips.
    gas_limit : of every block from the next on, or None to move towards the configured one.
    randao : of the next block, or None.
    """

    coinbase: Address
    gas_limit: int | None = None
    randao: Hash32 | None = None


class NextBlock:
    """
    Decides about the next block.

    Parameters
    ----------
    desired_gas_limit : that blocks move towards; 0 keeps the parent's.
    extra_data : up to 32 bytes.
    """

    def __init__(
        self, node: Node, clock: Clock, *, coinbase: Address, desired_gas_limit: int, extra_data: bytes
    ) -> None:
        self._node = node
        self._desired_gas_limit = desired_gas_limit
        self._extra_data = extra_data
        self.clock = clock
        self.choices = HeaderChoices(coinbase)

    def timestamp_s(self) -> int:
        """Timestamp that a block built now would have."""
        head = self._node.block(self._node.head_number)
        return self.clock.next_s(0 if head is None else int(head.header_fields()["timestamp_s"]))

    def gas_limit(self, parent: int) -> int:
        """Gas limit on a parent with this one."""
        chosen = self.choices.gas_limit
        return next_gas_limit(parent, self._desired_gas_limit) if chosen is None else chosen

    def attributes(self) -> BlockAttributes:
        """Decide about a block on the head."""
        head = self._node.block(self._node.head_number)
        assert head is not None  # noqa: S101 - there is always a head
        parent = head.header_fields()
        # Not random: the same transactions give the same chain.
        randao = self.choices.randao or Hash32(keccak256((head.number + 1).to_bytes(8, "big") + head.hash))
        return metis.types.BlockAttributes(
            timestamp_s=TimestampS(self.clock.next_s(int(parent["timestamp_s"]))),
            beneficiary=self.choices.coinbase,
            gas_limit=Gas(self.gas_limit(parent["gas_limit"])),
            prev_randao=randao,
            extra_data=self._extra_data,
            is_any_gas_limit=self.choices.gas_limit is not None,
        )

    def used(self, attributes: BlockAttributes) -> None:
        """Tell that a block was built with these attributes."""
        self.clock.used(attributes.timestamp_s)
        self.choices = replace(self.choices, randao=None)


def next_gas_limit(parent: int, desired: int) -> int:
    """
    Gas limit of the next block: on its way from the parent's to the desired one.

    A block may differ from its parent by less than 1/1024 (Yellow Paper, equation 54).

    Parameters
    ----------
    desired : 0 keeps the parent's.
    """
    step = parent // GAS_LIMIT_BOUND_DIVISOR - 1
    desired = max(desired, GAS_LIMIT_MIN) if desired else parent
    return min(parent + step, desired) if parent < desired else max(parent - step, desired)
