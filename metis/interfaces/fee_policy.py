"""Who receives the base fee."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from metis.types import Address

__all__ = ["FeePolicy"]


@runtime_checkable
class FeePolicy(Protocol):
    """
    What happens to the part of a transaction's fee that is not the block builder's.

    Promises: it is a rule of the chain, fixed at genesis and part of the genesis document, so every
    node computes the same state. It moves fees; it never changes what a sender pays (EIP-1559).

    Implementations: ``ethereum`` burns (:class:`metis.sdk.parts.EthereumFees`), ``collected`` pays
    one account (:class:`metis.sdk.parts.CollectedFees`).
    """

    @property
    def name(self) -> str:
        """The name it is composed by."""

    @property
    def base_fee_recipient(self) -> Address | None:
        """The account that base fees are credited to (20 bytes); None burns them."""
