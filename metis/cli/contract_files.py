"""The compiled contracts that come with Metis, and calls of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Contract", "call_data", "load_contract"]

_FOLDER = Path(__file__).parent / "contracts"


@dataclass(frozen=True, slots=True)
class Contract:
    """A compiled contract: what to deploy, and where its variables are stored."""

    name: str
    source: str
    bytecode: bytes
    storage_slots: dict[str, int]


def load_contract(name: str) -> Contract:
    """Read a compiled contract; its source is under examples/."""
    artefact = json.loads((_FOLDER / f"{name}.json").read_bytes())
    bytecode = bytes.fromhex(artefact["bytecode"].removeprefix("0x"))
    return Contract(artefact["contract"], artefact["source"], bytecode, artefact.get("storage_slots", {}))


def call_data(signature: str, *values: Any) -> bytes:
    """
    Write a call.

    Parameters
    ----------
    signature : as the contract ABI writes it: ``transfer(address,uint256)``. values : its arguments.
    """
    from eth_abi.abi import encode

    from metis.engine import keccak256

    types = signature[signature.index("(") + 1 : -1]
    return keccak256(signature.encode())[:4] + encode(types.split(",") if types else [], values)
