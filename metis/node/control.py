"""
The node under a test's control, as :class:`metis.rpc.namespaces.controls.Controls`.

In: wishes of control methods. Out: changes of engine, clock and builder, and news of them. Invariant:
what changes the chain runs between blocks, on the builder's thread; a snapshot holds all that
:class:`Settings` lists and all that the engine keeps.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from metis.engine import Node, unsigned_transaction
from metis.node.clock import ClockSetting
from metis.node.config import ForkSection, NodeConfig, check_config
from metis.node.errors import ConfigError
from metis.node.heads import Heads
from metis.node.mining import Miner
from metis.node.next_block import TIP_WEI, HeaderChoices, NextBlock
from metis.rpc import ErrorCode, RpcError
from metis.rpc.namespaces import Signer
from metis.rpc.namespaces.controls import BLOCK_COUNT_MAX
from metis.rpc.namespaces.happenings import HeadChange
from metis.types import Address, Hash32

if TYPE_CHECKING:
    from metis.node.fork import ForkService
    from metis.types import UnsignedTransaction

__all__ = ["Host", "NodeControl"]

T = TypeVar("T")


class Host(Protocol):
    """What a control needs of the running node."""

    node: Node
    signer: Signer
    client_version: str
    call_gas_max: int
    config: NodeConfig
    heads: Heads
    miner: Miner
    next_block: NextBlock
    is_logging_blocks: bool
    fork: ForkService | None

    @property
    def has_left_its_start(self) -> bool:
        """Whether the chain is another one than that of the start."""

    async def begin_again(self, section: ForkSection | None) -> None:
        """Leave the chain, and go on from another node's; None goes back to the chain of the start."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a snapshot holds of the node's settings."""

    clock: ClockSetting
    choices: HeaderChoices
    mode: str
    block_time_s: float
    impersonated: frozenset[bytes]
    impersonates_everyone: bool
    is_logging: bool


class NodeControl:
    """
    Changes one node as tests want it.

    Parameters
    ----------
    impersonates_everyone : from the start.
    """

    def __init__(self, host: Host, *, impersonates_everyone: bool) -> None:
        self._host = host
        self._impersonated: frozenset[bytes] = frozenset()
        self._impersonates_everyone = impersonates_everyone
        self._snapshots: dict[int, Settings] = {}
        self._instance_id = os.urandom(32)
        self._at_start = self._settings()
        self._chain_id_at_start = host.node.spec.chain_id

    @property
    def node(self) -> Node:
        """The engine's node."""
        return self._host.node

    @property
    def client_version(self) -> str:
        """As web3_clientVersion answers it."""
        return self._host.client_version

    # --- accounts

    async def change(self, work: Callable[[], T]) -> T:
        """Run a change of the newest state between blocks, and return what it returns."""
        return await self._host.miner.run(work)

    def impersonates(self, address: bytes) -> bool:
        """Whether an account may send without its key."""
        return self._impersonates_everyone or address in self._impersonated

    def impersonate(self, address: bytes, *, on: bool) -> None:
        """Let an account send without its key, or no more."""
        self._impersonated = self._impersonated | {address} if on else self._impersonated - {address}

    def impersonate_everyone(self, *, on: bool) -> None:
        """Let every account send without its key, or no more."""
        self._impersonates_everyone = on

    async def send_unsigned(self, transaction: UnsignedTransaction) -> Hash32:
        """Take a transaction that nobody signed; with instant mining, return when it is mined."""
        transaction_hash = Hash32(self.node.submit_unsigned(unsigned_transaction(transaction)))
        self._host.heads.pooled(transaction_hash)
        await self._host.miner.arrived()
        return transaction_hash

    # --- blocks

    async def mine(self, block_count: int, interval_s: int | None = None) -> Sequence[bytes]:
        """Build blocks, ``interval_s`` apart; returns their hashes."""
        return [head.hash for head in await self._host.miner.mine(block_count, interval_s)]

    async def mine_at(self, timestamp_s: int) -> Sequence[bytes]:
        """Move the clock and build one block with that timestamp."""
        self.choose_next_timestamp(timestamp_s)
        return await self.mine(1)

    @property
    def is_automining(self) -> bool:
        """Whether blocks are built when transactions arrive."""
        return self._host.miner.mode in ("instant", "mixed")

    @property
    def mining_interval_s(self) -> float | None:
        """Seconds between blocks that are built by themselves."""
        miner = self._host.miner
        if miner.mode not in ("interval", "mixed"):
            return None
        seconds = miner.block_time_s
        return int(seconds) if float(seconds).is_integer() else seconds

    def set_automine(self, *, on: bool) -> None:
        """Build blocks when transactions arrive, or no more."""
        miner = self._host.miner
        modes = {"manual": "instant", "interval": "instant"} if on else {"instant": "manual", "mixed": "interval"}
        miner.set_mode(modes.get(miner.mode, miner.mode))
        if on:
            miner.head_moved()

    def set_mining_interval(self, interval_s: float) -> None:
        """Build a block so often; 0 builds none by itself."""
        miner = self._host.miner
        if interval_s > 0:
            miner.set_mode("mixed" if miner.mode == "mixed" else "interval", interval_s)
        else:
            miner.set_mode("instant" if miner.mode == "mixed" else "manual")

    def set_coinbase(self, address: Address) -> None:
        """Decide who gets tips."""
        self._choose(coinbase=address)

    def set_gas_limit(self, gas_limit: int) -> None:
        """Decide the gas limit of blocks from the next on."""
        if not 5_000 <= gas_limit < 2**63:
            raise RpcError(ErrorCode.INVALID_PARAMS, f"gas limit {gas_limit} is not between 5000 and 2**63")
        self._choose(gas_limit=gas_limit)

    def set_next_randao(self, randao: Hash32) -> None:
        """Decide the next block's PREVRANDAO."""
        self._choose(randao=randao)

    def _choose(self, **choices: Any) -> None:
        self._host.next_block.choices = replace(self._host.next_block.choices, **choices)

    async def set_chain_id(self, chain_id: int) -> None:
        """Decide the chain id that transactions must name."""
        await self.change(lambda: self.node.set_chain_id(chain_id))

    def set_logging(self, *, on: bool) -> None:
        """Write log lines about blocks, or none."""
        self._host.is_logging_blocks = on

    # --- time

    def advance_time(self, seconds: int) -> int:
        """Move the clock; returns how far it is ahead of the system's, in seconds."""
        clock = self._host.next_block.clock
        clock.advance(seconds)
        return clock.setting.offset_s

    def set_time(self, timestamp_s: int) -> int:
        """Move the clock to a time; returns by how much it went ahead, in seconds."""
        clock = self._host.next_block.clock
        before_s = clock.now_s
        clock.set_now(timestamp_s)
        return max(timestamp_s - before_s, 0)

    def choose_next_timestamp(self, timestamp_s: int) -> None:
        """Decide the next block's timestamp; raises RpcError where that is not after the newest block's."""
        if timestamp_s <= self._head_timestamp_s():
            words = f"Timestamp error: {timestamp_s} is lower than previous block's timestamp"
            raise RpcError(ErrorCode.INVALID_PARAMS, words)
        self._host.next_block.clock.choose_next(timestamp_s)

    def set_timestamp_interval(self, interval_s: int | None) -> bool:
        """Let blocks be so many seconds apart, or go by the clock; returns whether there was an interval."""
        clock = self._host.next_block.clock
        had_interval = clock.setting.interval_s is not None
        clock.set_interval(interval_s)
        return had_interval

    # --- going back

    async def take_snapshot(self) -> int:
        """Remember everything as it is."""
        snapshot = await self.change(self.node.take_snapshot)
        self._snapshots[snapshot] = self._settings()
        return snapshot

    async def revert(self, snapshot: int) -> bool:
        """Make everything as it was at a snapshot; False where there is none."""
        settings = self._snapshots.get(snapshot)
        if settings is None:
            return False
        change = await self.change(lambda: self.node.revert(snapshot))
        self._snapshots = {known: held for known, held in self._snapshots.items() if known < snapshot}
        if change is None:
            return False
        self._restore(settings)
        self._announce(change)
        return True

    async def rollback(self, block_count: int) -> None:
        """Take back the newest blocks."""
        self._announce(await self.change(lambda: self._rewind(block_count, "Rollback")))

    async def reorganise(self, block_count: int, transactions: Mapping[int, Sequence[Any]]) -> None:
        """Replace the newest blocks; ``transactions`` are those of each new block, by its position from 0."""
        from metis.node.reorganising import new_blocks

        def work() -> tuple[dict[str, Any], list[HeadChange]]:
            kept = self.node.take_snapshot()
            try:
                change = self._rewind(block_count, "Reorg")
                built = new_blocks(self._host, [transactions.get(index, ()) for index in range(block_count)])
            except Exception:
                self.node.revert(kept)
                raise
            self.node.discard(kept)
            return change, built

        change, built = await self.change(work)
        self._host.heads.changed(built, _changes(change["removed"], is_removed=True))

    def _rewind(self, block_count: int, noun: str) -> dict[str, Any]:
        height = self.node.head_number
        if block_count > height:
            words = f"{noun} depth must not exceed current chain height: current height {height}, depth {block_count}"
            raise RpcError(ErrorCode.INVALID_PARAMS, words)
        return self.node.rewind(block_count)

    async def reset(self) -> None:
        """Make the chain as it was at its start."""
        if self._host.has_left_its_start:
            await self._host.begin_again(None)
            return
        change = await self.change(self._reset)
        self._snapshots.clear()
        self._restore(self._at_start)
        self._announce(change)

    def _reset(self) -> dict[str, Any]:
        if self.node.spec.chain_id != self._chain_id_at_start:
            self.node.set_chain_id(self._chain_id_at_start)
        return self.node.reset()

    async def fork(self, url: str | None, block_number: int | None) -> None:
        """Leave the chain, and go on from another node's, or with None from the one that is forked already."""
        section = self._host.config.fork
        if url is None and not section.url:
            words = "Forking not enabled and RPC URL not provided to start forking"
            raise RpcError(ErrorCode.INVALID_PARAMS, words)
        if url not in (None, section.url):
            # Headers hold keys: they are for the node that they were given for.
            section = replace(section, url=url, headers=(), rules="")
        number = -1 if block_number is None else block_number
        chosen = replace(section, block_number=number, transaction_hash="")
        try:
            check_config(replace(self._host.config, fork=chosen))
            await self._host.begin_again(chosen)
        except ConfigError as problem:
            raise RpcError(ErrorCode.INVALID_PARAMS, str(problem)) from problem

    # --- about the node

    def describe(self) -> dict[str, Any]:
        """Answer anvil_nodeInfo."""
        node = self.node
        head = node.block(node.head_number)
        assert head is not None  # noqa: S101 - there is always a head
        header = head.header_fields()
        base_fee_wei = node.next_base_fee_wei()
        return {
            "currentBlockNumber": hex(head.number),
            "currentBlockTimestamp": int(header["timestamp_s"]),
            "currentBlockHash": f"0x{head.hash.hex()}",
            "hardFork": node.spec.fork_at(head.number, int(header["timestamp_s"])),
            "transactionOrder": self._host.config.mining.order,
            "environment": {
                "baseFee": hex(base_fee_wei),
                "chainId": node.spec.chain_id,
                "gasLimit": hex(self._host.next_block.gas_limit(int(header["gas_limit"]))),
                "gasPrice": hex(base_fee_wei + TIP_WEI),
            },
            "forkConfig": self._fork_config(),
        }

    def _fork_config(self) -> dict[str, Any]:
        fork = self._host.fork
        if fork is None:
            return {"forkUrl": None, "forkBlockNumber": None, "forkRetryBackoff": None}
        return {
            # Without the keys that its path may hold.
            "forkUrl": fork.endpoint.shown,
            "forkBlockNumber": fork.block_number,
            "forkRetryBackoff": self._host.config.fork.retry_pause_ms,
        }

    def metadata(self) -> dict[str, Any]:
        """Answer anvil_metadata."""
        node = self.node
        return {
            "clientVersion": self.client_version,
            "clientSemver": self.client_version.split("/")[1],
            "clientCommitSha": None,
            "chainId": node.spec.chain_id,
            "instanceId": f"0x{self._instance_id.hex()}",
            "latestBlockNumber": node.head_number,
            "latestBlockHash": f"0x{node.head_hash.hex()}",
            "forkedNetwork": None,
            "snapshots": {hex(known): [number, f"0x{found.hex()}"] for known, number, found in node.snapshots()},
        }

    @property
    def head_changed_ms(self) -> int:
        """When the newest block became the newest: milliseconds since the Unix epoch, by the system's clock."""
        return self._host.heads.changed_ms

    @property
    def genesis_timestamp_s(self) -> int:
        """Timestamp of the first block."""
        first = self.node.block(0)
        return 0 if first is None else int(first.header_fields()["timestamp_s"])

    # --- files

    async def dump_state(self) -> bytes:
        """Write chain and newest state as anvil does, gzipped."""
        from metis.node.state_file import encode_state, state_document

        return await self.change(lambda: encode_state(state_document(self.node)))

    async def load_state(self, content: bytes) -> None:
        """
        Put a dumped state over the newest one, at its height and time.

        Raises
        ------
        GenesisError : it is no dump.
        """
        from metis.node.state_file import decode_state, read_state

        state = await asyncio.to_thread(lambda: read_state(decode_state(content)))
        missing = state.block_number - self.node.head_number
        if missing > BLOCK_COUNT_MAX:
            raise RpcError(ErrorCode.LIMIT_EXCEEDED, f"the state is {missing} blocks ahead, at most {BLOCK_COUNT_MAX}")
        if missing > 0:
            head_s = self._head_timestamp_s()
            first_s = state.timestamp_s - missing + 1
            if first_s > head_s:
                self._host.next_block.clock.choose_next(first_s)
            await self.mine(missing)
        await self.change(lambda: self.node.merge_accounts(state.accounts))

    async def load_file(self, path: str) -> None:
        """Load a state file; raises GenesisError where it is none, OSError where it cannot be read."""
        await self.load_state(await asyncio.to_thread(Path(path).read_bytes))

    async def dump_file(self, path: str) -> None:
        """Write a state file as anvil does, not gzipped; it is there whole or not at all."""
        from metis.node.state_file import write_state

        await self.change(lambda: write_state(self.node, Path(path)))

    def _head_timestamp_s(self) -> int:
        head = self.node.block(self.node.head_number)
        return 0 if head is None else int(head.header_fields()["timestamp_s"])

    def _settings(self) -> Settings:
        host = self._host
        return Settings(
            clock=host.next_block.clock.setting,
            choices=host.next_block.choices,
            mode=host.miner.mode,
            block_time_s=host.miner.block_time_s,
            impersonated=self._impersonated,
            impersonates_everyone=self._impersonates_everyone,
            is_logging=host.is_logging_blocks,
        )

    def _restore(self, settings: Settings) -> None:
        host = self._host
        host.next_block.clock.setting = settings.clock
        host.next_block.choices = settings.choices
        if (host.miner.mode, host.miner.block_time_s) != (settings.mode, settings.block_time_s):
            host.miner.set_mode(settings.mode, settings.block_time_s)
        self._impersonated = settings.impersonated
        self._impersonates_everyone = settings.impersonates_everyone
        host.is_logging_blocks = settings.is_logging

    def _announce(self, change: dict[str, Any]) -> None:
        self._host.heads.changed(_changes(change["added"]), _changes(change["removed"], is_removed=True))


def _changes(blocks: Sequence[tuple[int, bytes]], *, is_removed: bool = False) -> list[HeadChange]:
    return [HeadChange(number, Hash32(found), is_removed) for number, found in blocks]
