"""What the control methods need of the node: time, mining, impersonation, going back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from metis.engine import Node
from metis.types import Address, Hash32

if TYPE_CHECKING:
    from metis.types import UnsignedTransaction

__all__ = ["BLOCK_COUNT_MAX", "Controls"]

BLOCK_COUNT_MAX = 1_000_000
"""Most blocks that one call may mine."""


class Controls(Protocol):
    """A development node, as the control methods see it. Coroutines change the chain, one at a time."""

    @property
    def node(self) -> Node:
        """The engine's node."""

    @property
    def client_version(self) -> str:
        """As web3_clientVersion answers it."""

    # --- accounts

    async def change(self, work: Any) -> Any:
        """Run a change of the newest state between blocks, and return what it returns."""

    def impersonate(self, address: bytes, *, on: bool) -> None:
        """Let an account send without its key, or no more."""

    def impersonate_everyone(self, *, on: bool) -> None:
        """Let every account send without its key, or no more."""

    async def send_unsigned(self, transaction: UnsignedTransaction) -> Hash32:
        """Take a transaction that nobody signed; with instant mining, return when it is mined."""

    # --- blocks

    async def mine(self, block_count: int, interval_s: int | None = None) -> Sequence[bytes]:
        """Build blocks, ``interval_s`` apart; returns their hashes."""

    async def mine_at(self, timestamp_s: int) -> Sequence[bytes]:
        """Move the clock and build one block with that timestamp."""

    @property
    def is_automining(self) -> bool:
        """Whether blocks are built when transactions arrive."""

    @property
    def mining_interval_s(self) -> float | None:
        """Seconds between blocks that are built by themselves."""

    def set_automine(self, *, on: bool) -> None:
        """Build blocks when transactions arrive, or no more."""

    def set_mining_interval(self, interval_s: float) -> None:
        """Build a block so often; 0 builds none by itself."""

    def set_coinbase(self, address: Address) -> None:
        """Decide who gets tips."""

    def set_gas_limit(self, gas_limit: int) -> None:
        """Decide the gas limit of blocks from the next on."""

    def set_next_randao(self, randao: Hash32) -> None:
        """Decide the next block's PREVRANDAO."""

    async def set_chain_id(self, chain_id: int) -> None:
        """Decide the chain id that transactions must name."""

    def set_logging(self, *, on: bool) -> None:
        """Write log lines about blocks, or none."""

    # --- time

    def advance_time(self, seconds: int) -> int:
        """Move the clock; returns how far it is ahead of the system's, in seconds."""

    def set_time(self, timestamp_s: int) -> int:
        """Move the clock to a time; returns by how much it went ahead, in seconds."""

    def choose_next_timestamp(self, timestamp_s: int) -> None:
        """Decide the next block's timestamp; raises RpcError where that is not after the newest block's."""

    def set_timestamp_interval(self, interval_s: int | None) -> bool:
        """Let blocks be so many seconds apart, or go by the clock; returns whether there was an interval."""

    # --- going back

    async def take_snapshot(self) -> int:
        """Remember everything as it is."""

    async def revert(self, snapshot: int) -> bool:
        """Make everything as it was at a snapshot; False where there is none."""

    async def rollback(self, block_count: int) -> None:
        """Take back the newest blocks."""

    async def reorganise(self, block_count: int, transactions: Mapping[int, Sequence[Any]]) -> None:
        """Replace the newest blocks; ``transactions`` are those of each new block, by its position from 0."""

    async def reset(self) -> None:
        """Make the chain as it was at its start."""

    async def fork(self, url: str | None, block_number: int | None) -> None:
        """
        Leave the chain, and go on from another node's.

        Parameters
        ----------
        url : of the other node's JSON-RPC; None is the one that is forked already.
        block_number : to begin at; None is the newest.
        """

    # --- files

    async def dump_state(self) -> bytes:
        """Write chain and newest state as anvil does, gzipped."""

    async def load_state(self, content: bytes) -> None:
        """Put a dumped state over the newest one, at its height and time; raises GenesisError."""

    # --- about the node

    def describe(self) -> dict[str, Any]:
        """Answer anvil_nodeInfo."""

    def metadata(self) -> dict[str, Any]:
        """Answer anvil_metadata."""

    @property
    def head_changed_ms(self) -> int:
        """When the newest block became the newest: milliseconds since the Unix epoch, by the system's clock."""

    @property
    def genesis_timestamp_s(self) -> int:
        """Timestamp of the first block."""
