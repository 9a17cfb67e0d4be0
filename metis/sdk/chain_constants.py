"""What is fixed about a chain before its first block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from metis.types import Account
from metis.types.units import Address, Gas, TimestampS, Wei

__all__ = [
    "ETHEREUM_BLOB_SCHEDULE",
    "ETHEREUM_TRANSACTION_GAS_LIMIT_CAP",
    "BlobLimits",
    "ChainConstants",
    "InferenceConstants",
]


@dataclass(frozen=True, slots=True)
class BlobLimits:
    """
    How many blobs blocks carry and how fast their price moves (EIP-7840).

    Attributes
    ----------
    target_count : blobs per block at which the blob base fee stays as it is.
    max_count : most blobs in one block.
    base_fee_update_fraction : the larger, the slower the blob base fee moves.
    """

    target_count: int
    max_count: int
    base_fee_update_fraction: int


ETHEREUM_BLOB_SCHEDULE: Mapping[str, BlobLimits] = {
    "cancun": BlobLimits(3, 6, 3_338_477),  # EIP-4844
    "prague": BlobLimits(6, 9, 5_007_716),  # EIP-7691
    "osaka": BlobLimits(6, 9, 5_007_716),  # EIP-7892 raises it after the fork, by time
}
"""Ethereum mainnet's blob limits at each fork's start."""

ETHEREUM_TRANSACTION_GAS_LIMIT_CAP = Gas(16_777_216)
"""Most gas one transaction may ask for on Ethereum since Osaka (EIP-7825)."""


@dataclass(frozen=True, slots=True)
class InferenceConstants:
    """
    What inference costs and may take from block 0 on (docs/inference.md).

    Attributes
    ----------
    sequencer : who may activate models, as the registry has it at genesis.
    activation_delay_blocks : from the decision to activate or deactivate a model to its effect.
    active_bytes_max : most bytes of graphs and weights that every node must have.
    base_gas : of an inference, whatever the model.
    word_gas : of each 32 bytes of call data and of output.
    macs_per_gas, moved_bytes_per_gas : multiply-accumulate operations, and bytes that operators read and write, that
        one gas pays for.
    vector_macs_per_gas : multiply-accumulate operations of the vector functions that one gas pays for.
    transaction_macs_max, block_macs_max : most multiply-accumulate operations of one transaction and of one block.
    """

    sequencer: Address
    activation_delay_blocks: int = 10
    active_bytes_max: int = 4_294_967_296
    base_gas: Gas = Gas(12_000)
    word_gas: Gas = Gas(12)
    macs_per_gas: int = 500
    moved_bytes_per_gas: int = 40
    vector_macs_per_gas: int = 16
    transaction_macs_max: int = 6_000_000_000
    block_macs_max: int = 12_000_000_000


@dataclass(frozen=True, slots=True)
class ChainConstants:
    """
    Constants of a chain; a preset file is one way to write them down.

    Attributes
    ----------
    chain_id : in every signature (EIP-155); never a live network's.
    fork : rules from block 0 on, by the engine's name (`metis.engine.fork_names`); Paris or later.
    coin_symbol : of the native token, which pays for gas; for display.
    block_time_s : seconds from one block to the next when nobody says otherwise.
    block_gas_limit : of every block.
    transaction_gas_limit_cap : most gas one transaction may ask for; None means no cap.
    initial_base_fee_wei : base fee per gas of the genesis block.
    genesis_timestamp_s : time of the genesis block.
    extra_data : the genesis block's, up to 32 bytes.
    blob_schedule : fork name in lower case → blob limits from that fork on.
    accounts : what exists at genesis, besides the system contracts of the fork and of inference.
    inference : what calls of models cost; None for a chain without.
    """

    chain_id: int
    fork: str = "Osaka"
    coin_symbol: str = "METIS"
    block_time_s: int = 2
    block_gas_limit: Gas = Gas(60_000_000)
    transaction_gas_limit_cap: Gas | None = ETHEREUM_TRANSACTION_GAS_LIMIT_CAP
    initial_base_fee_wei: Wei = Wei(1_000_000_000)
    genesis_timestamp_s: TimestampS = TimestampS(0)
    extra_data: bytes = b""
    blob_schedule: Mapping[str, BlobLimits] = field(default_factory=lambda: dict(ETHEREUM_BLOB_SCHEDULE))
    accounts: Mapping[Address, Account] = field(default_factory=dict)
    inference: InferenceConstants | None = None
