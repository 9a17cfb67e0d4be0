"""Genesis documents of other chains: their accounts, as the engine takes them. Format: go-ethereum ``core.Genesis``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metis.types import Account, Address, GenesisError
from metis.types.units import Wei

__all__ = ["genesis_accounts"]


def genesis_accounts(document: Mapping[str, Any]) -> dict[Address, Account]:
    """
    Read ``alloc``.

    Raises
    ------
    GenesisError : an entry is malformed; names its field.
    """
    alloc = document.get("alloc")
    if not isinstance(alloc, Mapping):
        raise GenesisError("alloc", "is missing" if alloc is None else "must be an object")
    return dict(_account(key, entry) for key, entry in alloc.items())


def _account(key: str, entry: Any) -> tuple[Address, Account]:
    field = f"alloc.{key}"
    try:
        address = bytes.fromhex(key.removeprefix("0x"))
        account = Account(
            nonce=_number(entry.get("nonce", 0)),
            balance_wei=Wei(_number(entry.get("balance", 0))),
            code=bytes.fromhex(entry.get("code", "0x").removeprefix("0x")),
            storage={_number(slot, 16): _number(value, 16) for slot, value in entry.get("storage", {}).items()},
        )
    except (AttributeError, TypeError, ValueError) as problem:
        raise GenesisError(field, str(problem)) from problem
    if len(address) != 20:
        raise GenesisError(field, f"is no address: {len(address)} bytes instead of 20")
    return Address(address), account


def _number(value: Any, base_of_bare_text: int = 10) -> int:
    if isinstance(value, int):
        return value
    return int(value, 16) if value[:2] == "0x" else int(value, base_of_bare_text)
