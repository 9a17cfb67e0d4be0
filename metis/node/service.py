"""
One running node: the engine's, servers around it, and a builder of blocks.

In: a configuration and a chain. Out: JSON-RPC, until it is stopped. Invariant: whoever sent a
transaction and got an answer finds it after any crash that leaves the disk, unless durability is "none";
after :meth:`NodeService.stop` no thread, socket, file or lock is left.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import metis.engine
from metis.engine import Node, decode_transaction
from metis.node.clock import Clock
from metis.node.config import ForkSection, NodeConfig
from metis.node.control import NodeControl
from metis.node.errors import ConfigError
from metis.node.heads import Heads
from metis.node.mining import BuiltHead, Mined, Miner
from metis.node.models import ModelService
from metis.node.next_block import NextBlock
from metis.node.reorganisation import changes_between
from metis.node.saving import Saving, tell_of_state
from metis.rpc import AuthenticatedConfig, LogLimits, RpcConfig, RpcLimits, RpcServer, read_or_create_secret
from metis.rpc.namespaces import Signer, public_registry
from metis.rpc.namespaces.happenings import Happenings, HeadChange
from metis.rpc.namespaces.public import promise_control, register_topics
from metis.types import Address, Gas, Hash32, MetisError
from metis.vm.tiering.service import CompileService, registry_of

if TYPE_CHECKING:
    from metis.node.fork import ForkService
    from metis.rpc import PageContent
    from metis.types import Account, UnsignedTransaction

__all__ = ["Beginning", "NodeService"]

log = logging.getLogger("metis.node")

T = TypeVar("T")

_PARTS_OF_A_CHAIN = (
    *("_current", "fork", "genesis", "compiler", "node", "next_block"),
    *("registry", "heads", "miner", "control", "models", "saving"),
)
"""Attributes of a service that are others when it begins again."""

QUICK_GAS_MAX = 100_000
"""Gas of a block that is built sooner than a thread is woken for it: a few transfers."""

BLOCK_LINE_COUNT_MAX = 16
"""Blocks of one run that have a log line each; more share one."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a chain begins: genesis document, everything that exists, and the fork that it goes on from, or None."""

    genesis: dict[str, Any]
    accounts: Mapping[Address, Account]
    fork: ForkService | None


class NodeService:
    """
    A node, as :class:`metis.rpc.namespaces.Backend` and as something to start and stop.

    Parameters
    ----------
    config : see :class:`metis.node.config.NodeConfig`.
    genesis : the chain's genesis document, geth's format.
    accounts : everything that exists at genesis.
    signer : keys that the node signs with.
    client_version : what web3_clientVersion answers.
    fork : where the chain goes on from, or None where it begins with ``accounts`` alone.
    find_fork : asks another node where a chain could go on from; None where this node cannot be told to fork.

    Raises
    ------
    ConfigError, GenesisError : something is wrong with what was given.
    StorageError : the data folder cannot be used, or belongs to another chain.
    """

    def __init__(
        self,
        config: NodeConfig,
        genesis: dict[str, Any],
        accounts: Mapping[Address, Account],
        signer: Signer,
        client_version: str,
        fork: ForkService | None = None,
        find_fork: Callable[[ForkSection], Awaitable[Beginning]] | None = None,
    ) -> None:
        self.config = config
        self.signer = signer
        self.client_version = client_version
        self.call_gas_max = config.rpc.call_gas_max
        self.happenings = Happenings()
        self.started_s = time.time()
        self.is_logging_blocks = True
        self._find_fork = find_fork
        self._first, self._fork_at_start = Beginning(genesis, accounts, fork), config.fork
        self._resetting = asyncio.Lock()
        self._open(self._first)
        self.server = RpcServer(self.registry, self._rpc_config(self.registry))
        self._wire()
        self._dump_task: asyncio.Task[None] | None = None

    def _open(self, beginning: Beginning) -> None:
        """Begin or continue a chain in the engine, and promise the methods that ask it."""
        config, storage, fork = self.config, self.config.storage, beginning.fork
        self._current, self.fork, self.genesis = beginning, fork, beginning.genesis
        policy = config.vm.policy(storage.path)
        code_registry = registry_of(policy)
        self.compiler = CompileService(code_registry, policy)
        self.models = ModelService(config.models, beginning.genesis)
        document, accounts = json.dumps(beginning.genesis).encode(), beginning.accounts
        rules = config.control.rules()
        if fork is not None:
            self.node = fork.open_node(
                document, accounts, storage.kept_block_count, config.pool, rules, code_registry, self.models.models
            )
        else:
            self.node = Node.open(
                document,
                accounts,
                storage.path or None,
                storage.durability,
                storage.kept_block_count,
                config.pool,
                rules,
                code_registry,
                self.models.models,
                config.execution.worker_count,
                storage.state_store,
                storage.history,
            )
            tell_of_state(self.node)
        self.next_block = NextBlock(
            self.node,
            Clock(),
            coinbase=Address(_hex(config.mining.coinbase, "mining.coinbase", 20)),
            desired_gas_limit=config.mining.gas_limit,
            extra_data=_hex(config.mining.extra_data, "mining.extra_data", None),
        )
        log_limits = LogLimits(config.rpc.log_block_count_max, config.rpc.log_count_max)
        self.registry = public_registry(self, log_limits)
        if self.models.is_needed:
            self.registry.around_pool = self.models.around
        self.registry.shortcut = (
            None
            if fork is not None
            else self.node.answerer(
                config.rpc.call_gas_max, config.rpc.batch_count_max, RpcLimits().response_size_bytes_max
            )
        )

    def _wire(self) -> None:
        """Put a builder, subscriptions and control around the chain that was opened."""
        config, storage, fork = self.config, self.config.storage, self.fork
        register_topics(self.registry, self.server.hub)
        self.heads = Heads(self.node, self.happenings, self.server.hub)
        self.saving = Saving(self.node, storage)
        self.miner = Miner(
            self.node,
            mode=config.mining.mode,
            block_time_s=config.mining.block_time_s,
            fifo=config.mining.order == "fifo",
            next_block=self.next_block,
            on_mined=self._on_mined,
            syncs=bool(storage.path) and storage.durability == "group",
            quick_gas_max=0 if storage.path or fork is not None else QUICK_GAS_MAX,
            ask=self._ask,
        )
        self.control: NodeControl | None = None
        if config.control.enabled:
            self.control = NodeControl(self, impersonates_everyone=config.control.auto_impersonate)
            promise_control(self.registry, self.control, self.call_gas_max)
        if fork is not None:
            fork.take_over(self.registry, self)

    @property
    def coinbase(self) -> Address:
        """Who gets the tips of blocks built here."""
        return self.next_block.choices.coinbase

    @property
    def is_mining(self) -> bool:
        """Whether blocks are built without being asked for."""
        return self.miner.mode != "manual"

    async def start(self) -> None:
        """Listen and build; raises ListenError where an address is taken."""
        if self.fork is not None:
            await self.fork.start(self)
        if self.control is not None and self.config.control.load_state:
            await self.control.load_file(self.config.control.load_state)
        await self.server.start()
        self.compiler.start()
        self.models.start(self.node, self.heads)
        self.miner.start()
        self.saving.start()
        if self.config.control.dump_interval_s:
            self._dump_task = asyncio.create_task(self._dump_regularly())
        states_made_again, _ = self.node.state_report()
        facts = {"head": self.node.head_number, "states_made_again": states_made_again, "endpoint": self.http_url}
        log.info("node started", extra=facts)

    async def stop(self) -> None:
        """Finish requests and the block in progress, make everything durable, release the folder."""
        self.saving.stop()
        if self._dump_task is not None:
            self._dump_task.cancel()
        await self.server.stop()
        await self._dump()
        if self.fork is not None:
            await self.fork.stop()
        await self.models.stop()
        await self.miner.stop()
        await asyncio.to_thread(self.compiler.close)
        await asyncio.to_thread(self.node.close)
        log.info("node stopped")

    def _ask(self, work: Callable[[], T]) -> T:
        """Run what asks the engine, again when it missed something that could be fetched; not on the event loop."""
        fork = self.fork
        return self.models.ask(work if fork is None else lambda: fork.until_supplied_from_thread(work))

    @property
    def http_url(self) -> str:
        """Where HTTP is served, or "" before the start."""
        address = self.server.http_address
        return "" if address is None else f"http://{address[0]}:{address[1]}"

    # --- what methods ask for

    async def send_raw(self, raw: bytes) -> Hash32:
        """Take a signed transaction into the pool; with instant mining, return when it is mined."""
        transaction_hash = Hash32(self.node.submit(raw))
        self.heads.pooled(transaction_hash)
        await self.miner.arrived()
        return transaction_hash

    async def send_raw_many(self, raw: list[bytes]) -> list[Hash32 | Exception]:
        """Take signed transactions into the pool, in order; with instant mining, return when they are mined."""
        results: list[Hash32 | Exception]
        if len(raw) == 1:
            try:
                results = [Hash32(self.node.submit(raw[0]))]
            except MetisError as refusal:
                return [refusal]
        else:
            # Recovering the senders of many takes a while, on all cores.
            found = await asyncio.to_thread(self.node.submit_many, raw)
            results = [one if isinstance(one, Exception) else Hash32(one) for one in found]
        taken = [result for result in results if not isinstance(result, Exception)]
        for transaction_hash in taken:
            self.heads.pooled(transaction_hash)
        if taken:
            await self.miner.arrived()
        return results

    def impersonates(self, address: bytes) -> bool:
        """Whether an account may send without its key."""
        return self.control is not None and self.control.impersonates(address)

    async def send_unsigned(self, transaction: UnsignedTransaction) -> Hash32:
        """Take a transaction in an impersonated account's name; otherwise as :meth:`send_raw`."""
        assert self.control is not None  # noqa: S101 - nobody is impersonated without
        return await self.control.send_unsigned(transaction)

    async def mined(self, transaction_hash: bytes, timeout_s: float) -> bool:
        """Wait until a transaction is in a block; False when the time is over before."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.node.receipt_json(transaction_hash) is None:
                    await self.heads.next_change()
        except TimeoutError:
            return False
        return True

    def next_timestamp_s(self) -> int:
        """Timestamp that a block built now would have."""
        return self.next_block.timestamp_s()

    async def build_payload(self, attributes: Any, raw_transactions: list[bytes] | None) -> dict[str, Any]:
        """Build a block on the head without making it the head."""

        def build() -> dict[str, Any]:
            parent = self.node.block(self.node.head_hash)
            assert parent is not None  # noqa: S101 - it is the head
            gas_limit = self.next_block.gas_limit(parent.header_fields()["gas_limit"])
            given = None if raw_transactions is None else [decode_transaction(raw) for raw in raw_transactions]
            return self.node.propose(attributes(Gas(gas_limit)), given)

        return await self.miner.run(build)

    async def store_block(self, rlp: bytes) -> None:
        """Verify a block and keep it beside the chain."""
        block = metis.engine.decode_block(rlp)
        await self.miner.run(lambda: self.node.store_block(block))

    async def set_head(self, block_hash: bytes) -> None:
        """Make a known block the head, and tell subscribers what changed."""
        before = self.node.head_hash
        await self.miner.run(lambda: self.node.set_head(block_hash))
        added, removed = changes_between(self.node, before, block_hash)
        self.heads.changed(added, removed)
        self.miner.head_moved()

    @property
    def has_left_its_start(self) -> bool:
        """Whether the chain is another one than that of the start."""
        return self._current is not self._first

    async def begin_again(self, section: ForkSection | None) -> None:
        """
        Leave the chain, and go on from another node's; None goes back to the chain of the start.

        What fails leaves everything as it was. Connections and subscriptions stay; filters, snapshots and the
        pool belong to the chain that is left.

        Raises
        ------
        ConfigError : this node cannot fork, or not so. UpstreamError : the other node does not answer.
        """
        async with self._resetting:
            beginning = self._first
            chosen = self._fork_at_start if section is None else section
            if section is not None or beginning.fork is not None:
                if self._find_fork is None:
                    raise ConfigError("fork.url", "cannot be set: this node forks no other")
                beginning = await self._find_fork(chosen)
            before = {name: getattr(self, name) for name in _PARTS_OF_A_CHAIN}
            try:
                self._open(beginning)
                self._wire()
                if self.fork is not None:
                    await self.fork.start(self)
            except BaseException:
                vars(self).update(before)
                raise
            self.config = replace(self.config, fork=chosen)
            if section is None:
                self._first = beginning
            self.server.serve(self.registry)
            before["saving"].stop()
            self.saving.start()
            await before["models"].stop()
            await before["miner"].stop()
            self.compiler.start()
            self.models.start(self.node, self.heads)
            self.miner.start()
            self.heads.changed([HeadChange(self.node.head_number, Hash32(self.node.head_hash))])
            if before["fork"] is not None:
                await before["fork"].stop()
            await asyncio.to_thread(before["compiler"].close)
            await asyncio.to_thread(before["node"].close)

    async def mine(self, block_count: int = 1) -> list[BuiltHead]:
        """Build blocks by hand, empty ones too."""
        return await self.miner.mine(block_count)

    def _on_mined(self, mined: Mined) -> None:
        self.heads.changed(HeadChange(head.number, head.hash) for head in mined.heads)
        if not self.is_logging_blocks:
            return
        if len(mined.heads) > BLOCK_LINE_COUNT_MAX:
            log.info("blocks", extra={"count": len(mined.heads), "number": mined.heads[-1].number})
            return
        for head in mined.heads:
            log.info(
                "block",
                extra={"number": head.number, "hash": head.hash, "transactions": len(head.transaction_hashes)},
            )

    async def _dump(self) -> None:
        if self.control is not None and self.config.control.dump_state:
            await self.control.dump_file(self.config.control.dump_state)

    async def _dump_regularly(self) -> None:
        while True:
            await asyncio.sleep(self.config.control.dump_interval_s)
            try:
                await self._dump()
            except OSError:
                log.exception("writing the state file failed")

    def _metrics_page(self) -> PageContent:
        from metis.node.metrics import metrics_page

        return metrics_page(self.node, self.server.counters, self.heads, self.miner.stages, self.started_s)

    def _rpc_config(self, registry: Any) -> RpcConfig:
        rpc, engine_api = self.config.rpc, self.config.engine_api
        authenticated = None
        if engine_api.enabled:
            from metis.rpc.namespaces.engine_api import engine_registry

            authenticated = AuthenticatedConfig(
                engine_registry(self, registry),
                read_or_create_secret(Path(engine_api.secret_path)),
                engine_api.host,
                engine_api.port,
            )
        return RpcConfig(
            host=rpc.host,
            port=rpc.port,
            hosts=rpc.hosts,
            origins=rpc.origins,
            ipc_path=Path(rpc.ipc_path) if rpc.ipc_path else None,
            authenticated=authenticated,
            limits=RpcLimits(
                body_size_bytes_max=rpc.body_size_bytes_max,
                batch_count_max=rpc.batch_count_max,
                request_timeout_ms=rpc.request_timeout_ms,
                connections_max=rpc.connections_max,
            ),
            pages={"/metrics": self._metrics_page},
            client_name=self.client_version,
        )


def _hex(text: str, field: str, size_bytes: int | None) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as problem:
        raise ConfigError(field, f"is not hexadecimal: {problem}") from problem
    if size_bytes is not None and len(value) != size_bytes:
        raise ConfigError(field, f"has {len(value)} bytes instead of {size_bytes}")
    if len(value) > 32:
        raise ConfigError(field, f"has {len(value)} bytes; at most 32 fit")
    return value
