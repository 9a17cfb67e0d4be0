"""What transactions should pay: prices now, and how they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metis.engine import Node
from metis.rpc.errors import ErrorCode, InvalidParameter, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import require_number
from metis.rpc.parameters import BadValue, any_json, block_number_or_tag, quantity_of
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import BlockNumber

__all__ = ["fee_suggestion", "register_fees"]

TIP_DEFAULT_WEI = 1_000_000_000
"""Suggested where no recent block has a transaction; anvil suggests the same."""

TIP_BLOCK_COUNT = 20
TIP_PERCENTILE = 60.0
HISTORY_BLOCK_COUNT_MAX = 1_024
PERCENTILE_COUNT_MAX = 100

_count64 = quantity_of(64)


def fee_suggestion(node: Node) -> Callable[[], int]:
    """Return a function that suggests a tip in wei, and looks at the chain again only when the head changed."""
    known: tuple[bytes, int] = (b"", TIP_DEFAULT_WEI)

    def suggest() -> int:
        nonlocal known
        head = node.head_hash
        if known[0] != head:
            known = (head, _recent_tip_wei(node))
        return known[1]

    return suggest


def _recent_tip_wei(node: Node) -> int:
    """Median over recent blocks of what their transactions paid (geth's percentile)."""
    number = node.head_number
    history = node.fee_history(number, min(TIP_BLOCK_COUNT, number + 1), [TIP_PERCENTILE])
    rewards = history["reward"] or []
    tips = [row[0] for row, ratio in zip(rewards, history["gas_used_ratio"], strict=False) if row and ratio > 0]
    return int(sorted(tips)[len(tips) // 2]) if tips else TIP_DEFAULT_WEI


def register_fees(registry: MethodRegistry, backend: Backend) -> None:
    """Add the methods about prices."""
    node = backend.node
    suggest_tip_wei = fee_suggestion(node)

    @registry.hot("eth_gasPrice")
    def gas_price() -> str:
        """Price per gas that gets a legacy transaction into the next block: base fee and suggested tip, in wei."""
        return hex(node.next_base_fee_wei() + suggest_tip_wei())

    @registry.hot("eth_maxPriorityFeePerGas")
    def max_priority_fee_per_gas() -> str:
        """Suggested tip per gas, in wei."""
        return hex(suggest_tip_wei())

    @registry.hot("eth_baseFee")
    def base_fee() -> str:
        """Base fee per gas of the next block, in wei."""
        return hex(node.next_base_fee_wei())

    @registry.hot("eth_blobBaseFee")
    def blob_base_fee() -> str:
        """Price per blob gas in the newest block, in wei; 0 before Cancun."""
        return hex(node.fee_history(node.head_number, 1, [])["base_fee_per_blob_gas"][0])

    @registry.pool(
        "eth_feeHistory",
        Parameter("block_count", hex_or_decimal),
        Parameter("newest_block", block_number_or_tag),
        Parameter("percentiles", any_json, None),
    )
    def fee_history(block_count: int, newest: BlockNumber | str, percentiles: Any) -> dict[str, Any]:
        """Base fees, fullness and tips of blocks up to ``newest_block``."""
        wanted = checked_percentiles(percentiles)
        number = require_number(node, newest)
        if block_count == 0:
            return {"oldestBlock": "0x0", "gasUsedRatio": None}
        count = min(block_count, HISTORY_BLOCK_COUNT_MAX, number + 1)
        return history_json(node.fee_history(number, count, wanted), has_rewards=bool(wanted))


def hex_or_decimal(value: Any) -> int:
    """Read a block count: a quantity, a plain number, or (as old clients send) decimal text."""
    if type(value) is int and value >= 0:
        return value
    if type(value) is str and value.isascii() and value.isdigit():
        return _count64(hex(int(value))) if len(value) <= 20 else _refuse()
    return _count64(value)


def _refuse() -> int:
    raise BadValue("number larger than 64 bits")


def checked_percentiles(value: Any) -> list[float]:
    """
    Read reward percentiles: numbers from 0 to 100 that do not fall.

    Raises
    ------
    InvalidParameter : not a list of numbers. RpcError : out of range or order, in geth's words.
    """
    if value is None:
        return []
    if type(value) is not list or any(type(entry) not in (int, float) for entry in value):
        raise InvalidParameter(2, "percentiles", "expected an array of numbers")
    if len(value) > PERCENTILE_COUNT_MAX:
        raise RpcError(ErrorCode.INVALID_INPUT, f"over the query limit {PERCENTILE_COUNT_MAX}: percentiles")
    for index, entry in enumerate(value):
        if not 0 <= entry <= 100:
            raise RpcError(ErrorCode.INVALID_INPUT, f"invalid reward percentile: {entry}")
        if index and entry < value[index - 1]:
            raise RpcError(ErrorCode.INVALID_INPUT, f"invalid reward percentile: #{index - 1} is larger than #{index}")
    return [float(entry) for entry in value]


def history_json(history: dict[str, Any], *, has_rewards: bool) -> dict[str, Any]:
    """Write the engine's fee history as eth_feeHistory answers it."""
    shown: dict[str, Any] = {
        "oldestBlock": hex(history["oldest_block"]),
        "baseFeePerGas": [hex(fee) for fee in history["base_fee_per_gas"]],
        "gasUsedRatio": history["gas_used_ratio"],
        "baseFeePerBlobGas": [hex(fee) for fee in history["base_fee_per_blob_gas"]],
        "blobGasUsedRatio": history["blob_gas_used_ratio"],
    }
    if has_rewards:
        shown["reward"] = [[hex(tip) for tip in row] for row in history["reward"] or []]
    return shown
