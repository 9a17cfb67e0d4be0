"""Going back and forth: snapshots, rollbacks, reorganisations; what waits in the pool; what node this is."""

from __future__ import annotations

from typing import Any

import orjson

from metis.rpc.errors import ErrorCode, InvalidParameter, RpcError
from metis.rpc.namespaces.controls import Controls
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.lenient import number_of, optional
from metis.rpc.namespaces.transaction_arguments import transaction_arguments
from metis.rpc.parameters import BadValue, address, any_json, boolean, data, hash32, object_of, string
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Address, Hash32

__all__ = ["register_control_chain"]

_number = number_of(64)
_fork_fields = object_of({"jsonRpcUrl": string, "blockNumber": _number})


def _forking(value: Any) -> dict[str, Any] | None:
    """Read what to fork, as hardhat and anvil take it; nothing in it means the start."""
    if type(value) is not dict:
        raise BadValue("expected an object")
    inner = value.get("forking") if "forking" in value else value
    if inner in (None, {}) and not value.get("forking", True):
        return None
    return _fork_fields(inner)


_SNAPSHOT = Parameter("snapshot", number_of(256))


def register_control_chain(registry: MethodRegistry, controls: Controls) -> None:
    """Add the methods that go back, those about the pool, and those about the node."""
    _register_going_back(registry, controls)
    _register_files(registry, controls)
    _register_pool(registry, controls)
    _register_blobs(registry, controls)
    _register_information(registry, controls)


def _register_going_back(registry: MethodRegistry, controls: Controls) -> None:
    @registry.asynchronous("evm_snapshot")
    async def take_snapshot() -> str:
        """Remember everything as it is; answers the snapshot's number."""
        return hex(await controls.take_snapshot())

    @registry.asynchronous("evm_revert", _SNAPSHOT)
    async def revert(snapshot: int) -> bool:
        """Make everything as it was at a snapshot, which is used up with later ones; false where there is none."""
        return await controls.revert(snapshot)

    @registry.asynchronous("anvil_rollback", Parameter("block_count", optional(_number), None))
    async def rollback(block_count: int | None) -> None:
        """Take back the newest blocks (1) with their transactions."""
        await controls.rollback(1 if block_count is None else block_count)

    @registry.asynchronous(
        "anvil_reorg", Parameter("depth", any_json), Parameter("transactions", optional(any_json), None)
    )
    async def reorganise(depth: Any, pairs: Any) -> None:
        """Replace the newest blocks by others; pairs of transaction and position say what goes into them."""
        if type(depth) is dict:
            depth, pairs = depth.get("depth"), depth.get("txBlockPairs", depth.get("tx_block_pairs"))
        try:
            count = _number(depth)
        except BadValue as problem:
            raise InvalidParameter(0, "depth", str(problem)) from None
        await controls.reorganise(count, _by_position(count, pairs or []))

    @registry.asynchronous("anvil_reset", Parameter("forking", optional(_forking), None))
    async def reset(forking: dict[str, Any] | None) -> None:
        """Make the chain as it was at its start, or go on from another node's."""
        if forking is None:
            await controls.reset()
        else:
            await controls.fork(forking.get("jsonRpcUrl"), forking.get("blockNumber"))

    @registry.hot("anvil_setRpcUrl", Parameter("url", string))
    def set_rpc_url(_url: str) -> None:
        """Refuse: this node forks no other."""
        raise RpcError(ErrorCode.METHOD_NOT_SUPPORTED, "this node does not fork another, so it asks no URL")


def _register_files(registry: MethodRegistry, controls: Controls) -> None:
    @registry.asynchronous("anvil_dumpState", Parameter("with_history", optional(boolean), None))
    async def dump_state(_with_history: bool | None) -> str:  # noqa: FBT001 - the method's parameter
        """Chain and newest state as anvil writes them: gzipped JSON, as hexadecimal text."""
        return hex_data(await controls.dump_state())

    @registry.asynchronous("anvil_loadState", Parameter("state", data))
    async def load_state(content: bytes) -> bool:
        """Put a dumped state over the newest one, at its height and time."""
        await controls.load_state(content)
        return True


def _by_position(depth: int, pairs: Any) -> dict[int, list[Any]]:
    """Read anvil_reorg's pairs: raw transactions as bytes, others as their fields, by the new block's position."""
    if type(pairs) is not list:
        raise InvalidParameter(1, "transactions", "expected an array of pairs")
    found: dict[int, list[Any]] = {}
    for index, pair in enumerate(pairs):
        try:
            if type(pair) is not list or len(pair) != 2:
                raise BadValue("expected a transaction and a position")
            position = _number(pair[1])
            if position >= depth:
                raise BadValue(f"block {position} is not among the {depth} new ones")
            transaction = data(pair[0]) if type(pair[0]) is str else transaction_arguments(pair[0])
        except BadValue as problem:
            raise InvalidParameter(1, "transactions", f"element {index}: {problem}") from None
        found.setdefault(position, []).append(transaction)
    return found


def _register_pool(registry: MethodRegistry, controls: Controls) -> None:
    node = controls.node

    @registry.hot("anvil_dropTransaction", Parameter("hash", hash32))
    def drop(transaction_hash: Hash32) -> str | None:
        """Take a transaction out of the pool; answers its hash, or null where there is none."""
        return hex_data(transaction_hash) if node.drop(transaction_hash) else None

    @registry.hot("anvil_dropAllTransactions")
    def drop_all() -> None:
        """Empty the pool."""
        node.drop_all()

    @registry.hot("anvil_removePoolTransactions", Parameter("address", address))
    def drop_sender(sender: Address) -> None:
        """Take all transactions of a sender out of the pool."""
        node.drop_sender(sender)


def _register_blobs(registry: MethodRegistry, controls: Controls) -> None:
    node = controls.node

    @registry.pool("anvil_getBlobByHash", Parameter("versioned_hash", hash32))
    def blob_by_hash(versioned_hash: Hash32) -> str | None:
        """Return a blob by its versioned hash, or null; blobs are kept while they wait and for 32 blocks."""
        (found,) = node.blobs([versioned_hash])
        return None if found is None else hex_data(found[0])

    @registry.pool("anvil_getBlobsByTransactionHash", Parameter("hash", hash32))
    def blobs_by_transaction(transaction_hash: Hash32) -> list[str] | None:
        """Return the blobs of a transaction, or null where it or one of them is not here."""
        shown = orjson.loads(node.transaction_json(transaction_hash) or b"null")
        if shown is None or not shown.get("blobVersionedHashes"):
            return None
        found = node.blobs([bytes.fromhex(name[2:]) for name in shown["blobVersionedHashes"]])
        return [hex_data(blob[0]) for blob in found if blob is not None] if None not in found else None


def _register_information(registry: MethodRegistry, controls: Controls) -> None:
    @registry.hot("anvil_nodeInfo")
    def node_info() -> dict[str, Any]:
        """Head, fork, fees and limits of this node."""
        return controls.describe()

    @registry.hot("anvil_metadata")
    def metadata() -> dict[str, Any]:
        """Version, chain, head and snapshots of this node."""
        return controls.metadata()

    @registry.hot("anvil_getLastBlockWallTime")
    def last_block_wall_time() -> int:
        """When the newest block became the newest, in milliseconds of the system's clock."""
        return controls.head_changed_ms

    @registry.hot("anvil_getGenesisTime")
    def genesis_time() -> int:
        """Timestamp of the first block, in seconds."""
        return controls.genesis_timestamp_s
