"""
The parts that come with Metis, one small class each.

They show all there is to writing a part: a name, and what the interface asks for.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

import metis.engine
from metis.types import Address, CompositionError

if TYPE_CHECKING:
    from metis.engine import CodeRegistry, MemoryStore, MetisStore
    from metis.types import Account

__all__ = [
    "CollectedFees",
    "EthereumFees",
    "Interpreter",
    "MemoryStateStore",
    "MetisDbStateStore",
    "MetisVm",
    "ParallelExecutor",
    "SequentialExecutor",
]

_WORKERS_MAX = 256
_DURABILITIES = ("every-block", "on-flush", "on-checkpoint")
_HISTORIES = ("window", "archive")


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


class MetisDbStateStore:
    """
    State in MetisDB: read without a lock, in memory or in a folder.

    Parameters
    ----------
    path : the folder; it must not hold a store yet, since a chain in a process begins at its genesis. None keeps
        the state in memory.
    kept_block_count : how many of the newest blocks' states can be read, proven and reverted to.
    durability : when a block survives a power cut: "every-block", "on-flush" or "on-checkpoint".
    history : "window" forgets older states; "archive" keeps them in files of the folder, so it needs a ``path``.

    Raises CompositionError for what is not one of these.
    """

    name = "metisdb"

    def __init__(
        self,
        path: str | None = None,
        kept_block_count: int = 128,
        durability: str = "every-block",
        history: str = "window",
    ) -> None:
        if durability not in _DURABILITIES:
            raise CompositionError("StateStore", self.name, f"durability must be one of {', '.join(_DURABILITIES)}")
        if history not in _HISTORIES:
            raise CompositionError("StateStore", self.name, f"history must be one of {', '.join(_HISTORIES)}")
        if path is None and history == "archive":
            raise CompositionError("StateStore", self.name, "an archive is kept in a folder: give a path")
        self.path = path
        self.kept_block_count = kept_block_count
        self.durability = durability
        self.history = history

    def open(self, alloc: Mapping[Address, Account]) -> MetisStore:
        """
        Open a fresh store with these accounts as the state of block 0.

        Raises
        ------
        CompositionError : the folder holds a store.
        StorageError : the disk refuses.
        """
        accounts = cast("Mapping[bytes, Account]", alloc)
        if self.path is None:
            return metis.engine.MetisStore(accounts, self.kept_block_count)
        if (Path(self.path) / "state").exists():
            raise CompositionError("StateStore", self.name, f"{self.path} holds a store already")
        return metis.engine.MetisStore.open(self.path, accounts, self.kept_block_count, self.durability, self.history)


class Interpreter:
    """The engine's own interpreter: complete on its own, and what every other tier must equal."""

    name = "interpreter"
    frame_runner = None


class MetisVm:
    """
    The interpreter, and machine code of the contracts that are hot.

    They are compiled in processes of their own, which start with the first one and end with the part.

    Parameters
    ----------
    mode : "auto" compiles what is hot, "eager" whatever runs, for tests.
    workers : processes that compile; 0 takes one for two cores.
    """

    name = "metisvm"

    def __init__(self, mode: str = "auto", workers: int = 0) -> None:
        from metis.vm.tiering.policy import Policy

        self._policy = Policy(mode=mode, workers=workers)

    @functools.cached_property
    def frame_runner(self) -> CodeRegistry:
        """The registry that all chains with this part share."""
        from metis.vm.tiering.service import CompileService, registry_of

        registry = registry_of(self._policy)
        service = CompileService(registry, self._policy)
        service.start()
        weakref.finalize(self, service.close)
        return registry


class SequentialExecutor:
    """One transaction after the other, on the thread that asked."""

    name = "sequential"
    workers = 1


class ParallelExecutor:
    """
    Many transactions at a time, with the results of one after the other (MPEF).

    Parameters
    ----------
    workers : threads for a block; 0 takes one for each core.
    """

    name = "parallel"

    def __init__(self, workers: int = 0) -> None:
        if not 0 <= workers <= _WORKERS_MAX:
            raise CompositionError("Executor", self.name, f"workers is {workers}; it must be 0 to {_WORKERS_MAX}")
        self.workers = workers


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
