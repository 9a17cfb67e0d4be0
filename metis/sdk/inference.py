"""
What a chain with inference has at genesis: two precompiles and the registry of models.

The precompiles run in the engine and have no code of their own; the byte of code that stands at their addresses is for
compilers, whose calls first look whether there is any (Solidity's EXTCODESIZE check).

Source: docs/inference.md; the registry is contracts/inference/ModelRegistry.vy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from metis.sdk.chain_constants import InferenceConstants
from metis.types import Account, Address, Gas

__all__ = [
    "INFERENCE",
    "MODEL_REGISTRY",
    "VECTORS",
    "gas_of_run",
    "inference_accounts",
    "inference_config",
    "registry_abi",
]

INFERENCE: Final = Address(bytes.fromhex("4d45544953000000000000000000000000000001"))
"""Where contracts call models."""
VECTORS: Final = Address(bytes.fromhex("4d45544953000000000000000000000000000002"))
"""Where contracts multiply and compare vectors of integers."""
MODEL_REGISTRY: Final = Address(bytes.fromhex("4d45544953000000000000000000000000000003"))
"""Which models there are."""

# INVALID: whoever runs it instead of the precompile, on a chain that has none, fails.
_MARKER_CODE: Final = b"\xfe"


def inference_accounts(constants: InferenceConstants) -> dict[Address, Account]:
    """The accounts at genesis, by address."""
    artefact = _registry_artefact()
    slots: Mapping[str, int] = artefact["storage_slots"]
    storage = {
        slots["sequencer"]: int.from_bytes(constants.sequencer, "big"),
        slots["activation_delay_blocks"]: constants.activation_delay_blocks,
        slots["active_bytes_max"]: constants.active_bytes_max,
    }
    code = bytes.fromhex(artefact["runtime_bytecode"].removeprefix("0x"))
    return {
        INFERENCE: Account(nonce=1, code=_MARKER_CODE),
        VECTORS: Account(nonce=1, code=_MARKER_CODE),
        MODEL_REGISTRY: Account(nonce=1, code=code, storage=storage),
    }


def registry_abi() -> list[dict[str, Any]]:
    """The interface of the registry of models."""
    abi: list[dict[str, Any]] = _registry_artefact()["abi"]
    return abi


def _registry_artefact() -> dict[str, Any]:
    artefact: dict[str, Any] = json.loads((Path(__file__).parent / "contracts" / "ModelRegistry.json").read_bytes())
    return artefact


def gas_of_run(constants: InferenceConstants, macs: int, moved_bytes: int, output_bytes: int) -> Gas:
    """
    Gas of one run of a model, without its call data, as the engine charges it and ``modelInfo`` answers it.

    Parameters
    ----------
    macs, moved_bytes : the graph's cost. output_bytes : of all outputs.
    """
    work = -(-macs // constants.macs_per_gas) + -(-moved_bytes // constants.moved_bytes_per_gas)
    return Gas(constants.base_gas + work + -(-output_bytes // 32) * constants.word_gas)


def inference_config(constants: InferenceConstants) -> list[dict[str, Any]]:
    """``config.metis.inference`` of a genesis document: the rules, and the block from which they hold."""
    return [
        {
            "fromBlock": 0,
            "registry": f"0x{MODEL_REGISTRY.hex()}",
            "baseGas": constants.base_gas,
            "wordGas": constants.word_gas,
            "macsPerGas": constants.macs_per_gas,
            "movedBytesPerGas": constants.moved_bytes_per_gas,
            "vectorMacsPerGas": constants.vector_macs_per_gas,
            "transactionMacsMax": constants.transaction_macs_max,
            "blockMacsMax": constants.block_macs_max,
        }
    ]
