"""State and block overrides: a simulation on a state that never was. Source: go-ethereum ``override.go``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metis.rpc.parameters import BadValue, address, data, hash32, object_of, quantity, quantity_of, storage_slot
from metis.types import Address, Hash32

__all__ = ["AccountOverride", "BlockOverride", "block_overrides", "state_overrides"]


@dataclass(frozen=True, slots=True)
class AccountOverride:
    """
    What replaces an account's own values; None leaves them.

    ``storage`` replaces all slots, ``storage_diff`` only those named. A precompile at the address is none any more;
    ``move_precompile_to`` is where it is found instead.
    """

    balance_wei: int | None = None
    nonce: int | None = None
    code: bytes | None = None
    storage: Mapping[int, int] | None = None
    storage_diff: Mapping[int, int] | None = None
    move_precompile_to: Address | None = None


@dataclass(frozen=True, slots=True)
class BlockOverride:
    """What replaces the values of the block that a call sees; None leaves them."""

    number: int | None = None
    timestamp_s: int | None = None
    gas_limit: int | None = None
    beneficiary: Address | None = None
    prev_randao: Hash32 | None = None
    base_fee_per_gas_wei: int | None = None
    blob_base_fee_wei: int | None = None


def _slots(value: Any) -> dict[int, int]:
    if type(value) is not dict:
        raise BadValue("expected an object of slots")
    return {storage_slot(slot): storage_slot(word) for slot, word in value.items()}


_account = object_of(
    {
        "balance": quantity,
        "nonce": quantity_of(64),
        "code": data,
        "state": _slots,
        "stateDiff": _slots,
        "movePrecompileToAddress": address,
    }
)

_block = object_of(
    {
        "number": quantity_of(64),
        "time": quantity_of(64),
        "gasLimit": quantity_of(64),
        "feeRecipient": address,
        "coinbase": address,
        "prevRandao": hash32,
        "random": hash32,
        "baseFeePerGas": quantity,
        "baseFee": quantity,
        "blobBaseFee": quantity_of(128),
    }
)


def state_overrides(value: Any) -> dict[bytes, AccountOverride]:
    """Parse {address: {balance, nonce, code, state, stateDiff}}."""
    if type(value) is not dict:
        raise BadValue("expected an object of accounts")
    overrides: dict[bytes, AccountOverride] = {}
    for key, member in value.items():
        account = address(key)
        fields = _account(member)
        if "state" in fields and "stateDiff" in fields:
            raise BadValue(f"account {key} has both 'state' and 'stateDiff'")
        overrides[account] = AccountOverride(
            balance_wei=fields.get("balance"),
            nonce=fields.get("nonce"),
            code=fields.get("code"),
            storage=fields.get("state"),
            storage_diff=fields.get("stateDiff"),
            move_precompile_to=fields.get("movePrecompileToAddress"),
        )
    return overrides


def block_overrides(value: Any) -> BlockOverride:
    """Parse {number, time, gasLimit, feeRecipient, prevRandao, baseFeePerGas, blobBaseFee}, with geth's older names."""
    fields = _block(value)
    return BlockOverride(
        number=fields.get("number"),
        timestamp_s=fields.get("time"),
        gas_limit=fields.get("gasLimit"),
        beneficiary=fields.get("feeRecipient", fields.get("coinbase")),
        prev_randao=fields.get("prevRandao", fields.get("random")),
        base_fee_per_gas_wei=fields.get("baseFeePerGas", fields.get("baseFee")),
        blob_base_fee_wei=fields.get("blobBaseFee"),
    )
