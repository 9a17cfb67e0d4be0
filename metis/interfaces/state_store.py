"""Where accounts, code and storage live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from metis.types import Account, Address

__all__ = ["StateHandle", "StateStore"]


@runtime_checkable
class StateHandle(Protocol):
    """
    An open store, as the engine made it: what Python may ask of it besides handing it back.

    Promises: one writer and any number of readers, from any thread; a reader sees one block's state,
    never half of a commit; ``block_number`` is the newest block, and every block from
    ``oldest_block_number`` to it can be read, proven and reverted to. Asking outside that window
    raises :class:`metis.types.StateUnavailable`.
    """

    @property
    def block_number(self) -> int:
        """The newest block whose state is held."""

    @property
    def oldest_block_number(self) -> int:
        """The oldest block whose state is still held."""

    def state_root(self, block_number: int | None = None) -> bytes:
        """Root of the Merkle Patricia trie over all accounts (32 bytes); None means newest."""

    def revert_to(self, block_number: int) -> None:
        """Make an older kept block the newest one."""


@runtime_checkable
class StateStore(Protocol):
    """
    A kind of state store, such as "in memory".

    Promises: ``open`` gives a store of its own each time, holding exactly ``alloc`` as the state of
    block 0. The roots it reports are Ethereum's (Yellow Paper appendix D), whatever its layout.

    Implementations: ``memory`` (:class:`metis.sdk.parts.MemoryStateStore`), ``metisdb``
    (:class:`metis.sdk.parts.MetisDbStateStore`).
    """

    @property
    def name(self) -> str:
        """The name it is composed by."""

    def open(self, alloc: Mapping[Address, Account]) -> StateHandle:
        """Open a fresh store with these accounts; the handle is one of the engine's own stores."""
