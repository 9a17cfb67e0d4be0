"""
Forks as the fixtures name them, and their rules.

A fixture's fork is active from block 0 and time 0, with mainnet's parameters unless the test brings
its own.
"""

from __future__ import annotations

import functools
from typing import Any

import orjson

from metis import engine
from metis.vm.statetest import BlobSchedule

__all__ = ["canonical_fork", "chain_config", "fork_reached", "spec_at"]

_ALIASES = {
    "EIP150": "TangerineWhistle",
    "EIP158": "SpuriousDragon",
    "ConstantinopleFix": "Petersburg",
    "Merge": "Paris",
}
"""Fork names of the fixtures that are not the engine's."""

_BLOCK_FORKS = (
    "homesteadBlock",
    "eip150Block",
    "eip155Block",
    "eip158Block",
    "byzantiumBlock",
    "constantinopleBlock",
    "petersburgBlock",
    "istanbulBlock",
    "berlinBlock",
    "londonBlock",
)


@functools.cache
def canonical_fork(name: str) -> str | None:
    """The engine's name of a fork that a fixture names, or None where the engine has no such fork."""
    name = _ALIASES.get(name, name)
    return name if name in engine.fork_names() else None


@functools.cache
def fork_reached(fork: str, since: str) -> bool:
    """Whether a fork (canonical name) has the rules that came with ``since``."""
    names = engine.fork_names()
    return names.index(fork) >= names.index(since)


@functools.cache
def spec_at(fork: str, chain_id: int, blob_schedule: BlobSchedule | None) -> engine.ChainSpec:
    """
    The rules of a fork on a chain, with a test's own blob limits where it brings them.

    Raises
    ------
    GenesisError : the limits are none that the engine accepts.
    """
    if blob_schedule is None:
        return engine.ChainSpec.at_fork(fork, chain_id)
    # Only a genesis document can carry blob limits.
    config = chain_config(fork, chain_id, blob_schedule)
    genesis = {"config": config, "gasLimit": "0x0", "difficulty": "0x0", "alloc": {}}
    return engine.ChainSpec.from_genesis(orjson.dumps(genesis))


def chain_config(fork: str, chain_id: int, blob_schedule: BlobSchedule | None = None) -> dict[str, Any]:
    """
    Write the ``config`` of a genesis document in which everything up to a fork is active from block 0.

    Parameters
    ----------
    fork : canonical name, London or later; all before are long active: the merge passed, times 0.
    blob_schedule : limits that hold from Cancun on; None names none.
    """
    times = {
        f"{name.lower()}Time": 0
        for name in engine.fork_names()
        if fork_reached(name, "Shanghai") and fork_reached(fork, name)
    }
    config: dict[str, Any] = {
        "chainId": chain_id,
        **dict.fromkeys(_BLOCK_FORKS, 0),
        "terminalTotalDifficulty": 0,
        "terminalTotalDifficultyPassed": True,
        **times,
    }
    if blob_schedule is not None:
        limits = {
            "target": blob_schedule.target_count,
            "max": blob_schedule.max_count,
            "baseFeeUpdateFraction": blob_schedule.base_fee_update_fraction,
        }
        config["blobSchedule"] = {fork.lower(): limits}
    return config
