"""What a wallet leaves out of a transaction: nonce, fees, gas limit. Source: go-ethereum ``setDefaults``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from metis.engine import Node
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.estimation import estimate_gas
from metis.rpc.namespaces.overrides import BlockOverride
from metis.rpc.namespaces.transaction_arguments import TransactionFields, check_chain_id, is_dynamic, unsigned
from metis.types import Address, Gas, UnsignedTransaction

__all__ = ["FillDefaults", "fill_transaction"]


@dataclass(frozen=True, slots=True)
class FillDefaults:
    """
    What missing fields are made of.

    Attributes
    ----------
    base_fee_wei : of the next block; twice as much is allowed for, so that it may rise for some blocks.
    tip_wei : suggested. gas_max : most gas that the estimate may use.
    sender : who sends when nobody is named, or None to refuse that.
    """

    chain_id: int
    base_fee_wei: int
    tip_wei: int
    gas_max: int
    sender: Address | None


def fill_transaction(node: Node, fields: TransactionFields, defaults: FillDefaults) -> UnsignedTransaction:
    """
    Complete a transaction.

    Raises
    ------
    RpcError : nobody is named as sender, a creation has no code, or the gas estimation fails.
    """
    check_chain_id(fields, defaults.chain_id)
    sender = fields.get("from", defaults.sender)
    if sender is None:
        raise RpcError(ErrorCode.INVALID_PARAMS, "missing field 'from'")
    if "to" not in fields and not fields.get("input"):
        raise RpcError(ErrorCode.INVALID_INPUT, "contract creation without any data provided")
    fee_cap_wei, tip_wei = _fees(fields, defaults)
    nonce = fields.get("nonce")
    transaction = unsigned(
        fields,
        sender=sender,
        nonce=node.pending_nonce(sender) if nonce is None else nonce,
        gas_limit=fields.get("gas") or defaults.gas_max,
        fee_cap_wei=fee_cap_wei,
        tip_wei=tip_wei,
        chain_id=defaults.chain_id,
    )
    if fields.get("gas"):
        return transaction
    # In the next block, where it will be: code that keeps the block's number pays for it there.
    following = BlockOverride(number=node.head_number + 1)
    gas_limit = estimate_gas(node, transaction, node.head_number, environment=following)
    return replace(transaction, gas_limit=Gas(gas_limit))


def _fees(fields: TransactionFields, defaults: FillDefaults) -> tuple[int, int | None]:
    """Fee cap and tip; no tip for a transaction with a gas price."""
    if "gasPrice" in fields:
        return fields["gasPrice"], None
    if not is_dynamic(fields) and fields.get("type") in (0, 1):
        return defaults.base_fee_wei + defaults.tip_wei, None
    tip_wei = fields.get("maxPriorityFeePerGas", min(defaults.tip_wei, fields.get("maxFeePerGas", defaults.tip_wei)))
    fee_cap_wei = fields.get("maxFeePerGas", 2 * defaults.base_fee_wei + tip_wei)
    if fee_cap_wei < tip_wei:
        words = f"maxFeePerGas ({fee_cap_wei}) < maxPriorityFeePerGas ({tip_wei})"
        raise RpcError(ErrorCode.INVALID_INPUT, words)
    return fee_cap_wei, tip_wei
