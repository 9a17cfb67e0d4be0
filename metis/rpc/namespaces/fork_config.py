"""
Which forks a chain has, by its genesis document: eth_config's answer (EIP-7910).

The fork id is EIP-2124's: a checksum over the genesis hash and every fork block and time passed.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from metis.engine import ChainSpec

__all__ = ["fork_configs", "fork_id"]

_PRECOMPILES: tuple[tuple[str, str, int], ...] = (
    # name in EIP-7910, the fork that brought it, address
    ("ECREC", "Frontier", 0x01),
    ("SHA256", "Frontier", 0x02),
    ("RIPEMD160", "Frontier", 0x03),
    ("ID", "Frontier", 0x04),
    ("MODEXP", "Byzantium", 0x05),
    ("BN254_ADD", "Byzantium", 0x06),
    ("BN254_MUL", "Byzantium", 0x07),
    ("BN254_PAIRING", "Byzantium", 0x08),
    ("BLAKE2F", "Istanbul", 0x09),
    ("KZG_POINT_EVALUATION", "Cancun", 0x0A),
    ("BLS12_G1ADD", "Prague", 0x0B),
    ("BLS12_G1MSM", "Prague", 0x0C),
    ("BLS12_G2ADD", "Prague", 0x0D),
    ("BLS12_G2MSM", "Prague", 0x0E),
    ("BLS12_PAIRING_CHECK", "Prague", 0x0F),
    ("BLS12_MAP_FP_TO_G1", "Prague", 0x10),
    ("BLS12_MAP_FP2_TO_G2", "Prague", 0x11),
    ("P256VERIFY", "Osaka", 0x100),
)

_SYSTEM_CONTRACTS: tuple[tuple[str, str, str], ...] = (
    ("BEACON_ROOTS_ADDRESS", "cancun", "0x000f3df6d732807ef1319fb7b8bb8522d0beac02"),
    ("CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS", "prague", "0x0000bbddc7ce488642fb579f8b00f3a590007251"),
    ("HISTORY_STORAGE_ADDRESS", "prague", "0x0000f90827f1c53a10cb7a02335b175320002935"),
    ("WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS", "prague", "0x00000961ef480eb55e80d19ad83579a64c007002"),
)

# EIP-7910 begins with Cancun: earlier forks have no blob schedule to tell.
_TIMED_FORKS = ("shanghai", "cancun", "prague", "osaka", "bpo1", "bpo2", "bpo3", "bpo4", "bpo5")
_PRECOMPILE_FORKS = ("Frontier", "Byzantium", "Istanbul", "Cancun", "Prague", "Osaka")


def fork_configs(
    genesis: Mapping[str, Any], genesis_hash: bytes, spec: ChainSpec, number: int, timestamp_s: int
) -> dict[str, Any]:
    """Return the fork configuration at a head, the next one, and the last one that is planned."""
    config = genesis["config"]
    times = sorted({int(config[f"{fork}Time"]) for fork in _TIMED_FORKS if config.get(f"{fork}Time") is not None})
    passed = [time for time in times if time <= timestamp_s]
    planned = [time for time in times if time > timestamp_s]

    def at(time: int) -> dict[str, Any]:
        return _config_at(config, genesis, genesis_hash, spec, number, time)

    return {
        "current": at(passed[-1] if passed else 0),
        "next": at(planned[0]) if planned else None,
        "last": at(planned[-1]) if planned else None,
    }


def _config_at(
    config: Mapping[str, Any], genesis: Mapping[str, Any], genesis_hash: bytes, spec: ChainSpec, number: int, time: int
) -> dict[str, Any]:
    active = [fork for fork in _TIMED_FORKS if config.get(f"{fork}Time") is not None and config[f"{fork}Time"] <= time]
    schedules = config.get("blobSchedule") or {}
    blobs = next((schedules[fork] for fork in reversed(active) if fork in schedules), None)
    reached = _reached_forks(spec, number, time)
    contracts = {name: address for name, fork, address in _SYSTEM_CONTRACTS if fork in active}
    if "prague" in active and config.get("depositContractAddress"):
        contracts["DEPOSIT_CONTRACT_ADDRESS"] = config["depositContractAddress"].lower()
    return {
        "activationTime": time,
        "blobSchedule": blobs,
        "chainId": hex(spec.chain_id),
        "forkId": "0x" + fork_id(config, genesis, genesis_hash, number, time).hex(),
        "precompiles": {name: f"0x{address:040x}" for name, fork, address in _PRECOMPILES if fork in reached},
        "systemContracts": dict(sorted(contracts.items())),
    }


def _reached_forks(spec: ChainSpec, number: int, time: int) -> frozenset[str]:
    """Forks that bring precompiles, up to the one at a block."""
    from metis.engine import fork_names

    names = fork_names()
    newest = names.index(spec.fork_at(number, time))
    return frozenset(fork for fork in _PRECOMPILE_FORKS if names.index(fork) <= newest)


def fork_id(
    config: Mapping[str, Any], genesis: Mapping[str, Any], genesis_hash: bytes, number: int, timestamp_s: int
) -> bytes:
    """Checksum of EIP-2124: CRC-32 over the genesis hash and every passed fork, without those at genesis."""
    genesis_time_s = int(str(genesis.get("timestamp", "0x0")), 0)
    # Sorted and each once: forks at the same block count as one.
    blocks = {int(value) for key, value in config.items() if key.endswith("Block") and value is not None}
    times = {int(value) for key, value in config.items() if key.endswith("Time") and value is not None}
    checksum = zlib.crc32(genesis_hash)
    for value in sorted(block for block in blocks if 0 < block <= number):
        checksum = zlib.crc32(value.to_bytes(8, "big"), checksum)
    for value in sorted(time for time in times if genesis_time_s < time <= timestamp_s):
        checksum = zlib.crc32(value.to_bytes(8, "big"), checksum)
    return checksum.to_bytes(4, "big")
