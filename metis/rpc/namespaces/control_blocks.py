"""Blocks as tests want them: when they are built, at what time, and with which header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from metis.engine import Node
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.controls import BLOCK_COUNT_MAX, Controls
from metis.rpc.namespaces.debug_trace import TRACE_SIZE_BYTES_MAX
from metis.rpc.namespaces.lenient import number_of, optional
from metis.rpc.parameters import BadValue, address, boolean, hash32, object_of
from metis.rpc.registry import MethodRegistry, Parameter
from metis.rpc.reverts import revert_reason
from metis.types import Address, Hash32

__all__ = ["register_control_blocks"]

TOP_CALLS = b'{"tracer": "callTracer", "tracerConfig": {"onlyTopCall": true}}'

_number = number_of(64)
_SECONDS = Parameter("seconds", _number)
_TIMESTAMP = Parameter("timestamp_s", _number)
_COUNT = Parameter("block_count", optional(_number), None)
_SWITCH = Parameter("on", boolean)


@dataclass(frozen=True, slots=True)
class _MineOptions:
    timestamp_s: int | None = None
    block_count: int = 1


def _mine_options(value: Any) -> _MineOptions:
    """Read evm_mine's parameter: a timestamp, or an object with timestamp and blocks."""
    if type(value) is not dict:
        return _MineOptions(_number(value))
    fields = object_of({"timestamp": _number, "blocks": _number})(value)
    return _MineOptions(fields.get("timestamp"), fields.get("blocks", 1))


_OPTIONS = Parameter("options", _mine_options, _MineOptions())


def register_control_blocks(registry: MethodRegistry, controls: Controls) -> None:
    """Add the methods that build blocks, and those that say when and how blocks are built."""
    _register_mining(registry, controls)
    _register_modes(registry, controls)
    _register_headers(registry, controls)
    _register_time(registry, controls)


def _register_mining(registry: MethodRegistry, controls: Controls) -> None:
    node = controls.node

    async def mine_as_told(options: _MineOptions) -> list[bytes]:
        count = _checked(options.block_count)
        hashes: list[bytes] = []
        if options.timestamp_s is not None and count:
            hashes += await controls.mine_at(options.timestamp_s)
            count -= 1
        return [*hashes, *await controls.mine(count)]

    @registry.asynchronous("anvil_mine", _COUNT, Parameter("interval_s", optional(_number), None))
    async def mine(block_count: int | None, interval_s: int | None) -> None:
        """Build blocks (1), some seconds apart."""
        await controls.mine(_checked(1 if block_count is None else block_count), interval_s)

    @registry.asynchronous("evm_mine", _OPTIONS)
    async def evm_mine(options: _MineOptions) -> str:
        """Build a block, now or with a timestamp; an object may ask for more."""
        await mine_as_told(options)
        return "0x0"

    @registry.asynchronous("evm_mine_detailed", _OPTIONS)
    async def mine_detailed(options: _MineOptions) -> bytes:
        """Build blocks as evm_mine does, and answer them with whole transactions and what each returned."""
        hashes = await mine_as_told(options)
        # Not this handler's own work: a fork asks it again, and blocks must not be mined again.
        text: bytes = await controls.change(lambda: orjson.dumps([detailed_block(node, found) for found in hashes]))
        return text


def _register_modes(registry: MethodRegistry, controls: Controls) -> None:
    @registry.hot("anvil_getAutomine")
    def get_automine() -> bool:
        """Whether blocks are built when transactions arrive."""
        return controls.is_automining

    @registry.hot("anvil_setAutomine", _SWITCH)
    def set_automine(switch: bool) -> None:  # noqa: FBT001 - the method's parameter
        """Build blocks when transactions arrive, or no more."""
        controls.set_automine(on=switch)

    @registry.hot("anvil_getIntervalMining")
    def get_interval_mining() -> float | None:
        """Seconds between blocks that are built by themselves, or null."""
        return controls.mining_interval_s

    @registry.hot("anvil_setIntervalMining", Parameter("seconds", _interval))
    def set_interval_mining(seconds: float) -> None:
        """Build a block every so many seconds, or with 0 none by itself."""
        controls.set_mining_interval(seconds)

    @registry.hot("anvil_setLoggingEnabled", _SWITCH)
    def set_logging(switch: bool) -> None:  # noqa: FBT001 - the method's parameter
        """Write log lines about blocks, or none."""
        controls.set_logging(on=switch)


def _register_headers(registry: MethodRegistry, controls: Controls) -> None:
    node = controls.node

    @registry.hot("anvil_setCoinbase", Parameter("address", address))
    def set_coinbase(account: Address) -> None:
        """Decide who gets the tips of blocks from the next on."""
        controls.set_coinbase(account)

    @registry.hot("anvil_setBlockGasLimit", Parameter("gas_limit", _number))
    def set_gas_limit(gas_limit: int) -> bool:
        """Decide the gas limit of blocks from the next on."""
        controls.set_gas_limit(gas_limit)
        return True

    @registry.asynchronous("anvil_setNextBlockBaseFeePerGas", Parameter("wei", _number))
    async def set_next_base_fee(wei: int) -> None:
        """Decide the base fee of the next block, in wei per gas."""
        await controls.change(lambda: node.set_next_base_fee(wei))

    @registry.hot("anvil_setMinGasPrice", Parameter("wei", number_of(128)))
    def set_min_gas_price(wei: int) -> None:
        """Decide the least price that the pool takes; for chains without a base fee."""
        if node.next_base_fee_wei():
            words = "anvil_setMinGasPrice is not supported when EIP-1559 is active"
            raise RpcError(ErrorCode.INVALID_PARAMS, words)
        node.set_min_gas_price(wei)

    @registry.hot("anvil_setNextBlockPrevRandao", Parameter("randao", hash32))
    def set_next_randao(randao: Hash32) -> None:
        """Decide the next block's PREVRANDAO."""
        controls.set_next_randao(randao)

    @registry.asynchronous("anvil_setChainId", Parameter("chain_id", _number))
    async def set_chain_id(chain_id: int) -> None:
        """Decide the chain id that transactions must name from now on."""
        await controls.set_chain_id(chain_id)


def _register_time(registry: MethodRegistry, controls: Controls) -> None:
    @registry.hot("anvil_increaseTime", _SECONDS)
    def increase_time(seconds: int) -> int:
        """Move the clock ahead; answers how far it is ahead of the system's, in seconds."""
        return controls.advance_time(seconds)

    @registry.hot("anvil_setTime", _TIMESTAMP)
    def set_time(timestamp_s: int) -> int:
        """Move the clock to a time; answers by how many seconds it went ahead."""
        return controls.set_time(timestamp_s)

    @registry.hot("anvil_setNextBlockTimestamp", _TIMESTAMP)
    def set_next_timestamp(timestamp_s: int) -> None:
        """Decide the next block's timestamp; the clock goes on from there."""
        controls.choose_next_timestamp(timestamp_s)

    @registry.hot("anvil_setBlockTimestampInterval", _SECONDS)
    def set_timestamp_interval(seconds: int) -> None:
        """Let every block be so many seconds after its parent."""
        controls.set_timestamp_interval(seconds)

    @registry.hot("anvil_removeBlockTimestampInterval")
    def remove_timestamp_interval() -> bool:
        """Let timestamps go by the clock again; answers whether they did not."""
        return controls.set_timestamp_interval(None)


def detailed_block(node: Node, block_hash: bytes) -> dict[str, Any]:
    """Write a block whose transactions say what they returned (``output``) and why they reverted (``revertReason``)."""
    block: dict[str, Any] = orjson.loads(node.block_json(block_hash, full=True) or b"{}")
    if not block["transactions"]:
        return block
    traces = orjson.loads(node.trace_block_json(block_hash, TOP_CALLS, TRACE_SIZE_BYTES_MAX) or b"[]")
    for transaction, trace in zip(block["transactions"], traces, strict=True):
        transaction["output"] = trace["result"].get("output", "0x")
        if trace["result"].get("error") == "execution reverted":
            reason = revert_reason(bytes.fromhex(transaction["output"][2:]))
            transaction |= {} if reason is None else {"revertReason": reason}
    return block


def _checked(block_count: int) -> int:
    if block_count > BLOCK_COUNT_MAX:
        raise RpcError(ErrorCode.LIMIT_EXCEEDED, f"{block_count} blocks, at most {BLOCK_COUNT_MAX} in one call")
    return block_count


def _interval(value: Any) -> float:
    """Read seconds; a fraction is allowed."""
    if type(value) is float:
        if not 0 <= value <= 86_400:
            raise BadValue("must be from 0 to 86400 seconds")
        return value
    seconds = _number(value)
    if seconds > 86_400:
        raise BadValue("must be from 0 to 86400 seconds")
    return seconds
