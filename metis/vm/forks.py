"""
Forks and networks as the fixtures name them, and their rules.

A fixture's fork is active from block 0 and time 0, with mainnet's parameters unless the test brings
its own. A network of a blockchain test is a fork, or goes from one to another on its way.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

import orjson

from metis import engine
from metis.vm.beginning import BlobSchedule

__all__ = ["canonical_fork", "chain_config", "fork_reached", "network_config", "spec_at"]

_ALIASES = {
    "EIP150": "TangerineWhistle",
    "EIP158": "SpuriousDragon",
    "ConstantinopleFix": "Petersburg",
    "Merge": "Paris",
}
"""Fork names of the fixtures that are not the engine's."""

_SWITCHES = (
    ("Homestead", "homesteadBlock"),
    ("TangerineWhistle", "eip150Block"),
    ("SpuriousDragon", "eip155Block"),
    ("SpuriousDragon", "eip158Block"),
    ("Byzantium", "byzantiumBlock"),
    ("Constantinople", "constantinopleBlock"),
    ("Petersburg", "petersburgBlock"),
    ("Istanbul", "istanbulBlock"),
    ("Berlin", "berlinBlock"),
    ("London", "londonBlock"),
    ("Paris", "mergeNetsplitBlock"),
    *((name, f"{name.lower()}Time") for name in ("Shanghai", "Cancun", "Prague", "Osaka")),
    *((f"BPO{number}", f"bpo{number}Time") for number in range(1, 6)),
)
"""Forks in their order, those of blob limits alone (EIP-7892) included, with their fields in a genesis document."""

_ORDER = ("Frontier", *dict.fromkeys(name for name, _ in _SWITCHES))

_TRANSITION = re.compile(r"(?P<before>\w+?)To(?P<after>\w+)At(?P<is_time>Time)?(?P<point>\d+)(?P<thousands>k)?")


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
    fork : canonical name.
    blob_schedule : limits that hold from the fork on; None names none.
    """
    return _config(chain_id, _switches("Frontier", fork, 0), {} if blob_schedule is None else {fork: blob_schedule})


def network_config(network: str, chain_id: int, blob_schedules: Mapping[str, BlobSchedule]) -> dict[str, Any] | None:
    """
    Write the ``config`` of a genesis document for a network, such as Osaka, BerlinToLondonAt5, CancunToPragueAtTime15k.

    Parameters
    ----------
    blob_schedules : limits by the names of forks.

    Returns
    -------
    The object, or None for a network with a fork that the engine does not implement, or one that begins at a
    difficulty.
    """
    transition = _TRANSITION.fullmatch(network)
    fork = _switch_name(transition["before"] if transition else network)
    if fork is None:
        return None
    switches = _switches("Frontier", fork, 0)
    if transition:
        later = _switch_name(transition["after"])
        if later is None or later == "Paris":
            return None
        point = int(transition["point"]) * (1_000 if transition["thousands"] else 1)
        if bool(transition["is_time"]) != (_ORDER.index(later) > _ORDER.index("Paris")):
            return None
        switches |= _switches(fork, later, point)
    return _config(chain_id, switches, blob_schedules)


def _switch_name(name: str) -> str | None:
    name = _ALIASES.get(name, name)
    return name if name in _ORDER else None


def _switches(after: str, until: str, point: int) -> dict[str, Any]:
    """What makes the forks between two active from a block or a time on, the second included."""
    names = _ORDER[_ORDER.index(after) + 1 : _ORDER.index(until) + 1]
    config: dict[str, Any] = {field: point for name, field in _SWITCHES if name in names}
    if "Paris" in names:
        config |= {"terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": True}
    return config


def _config(chain_id: int, switches: Mapping[str, Any], blob_schedules: Mapping[str, BlobSchedule]) -> dict[str, Any]:
    config = {"chainId": chain_id, **switches}
    if blob_schedules:
        config["blobSchedule"] = {name.lower(): _limits(schedule) for name, schedule in blob_schedules.items()}
    return config


def _limits(schedule: BlobSchedule) -> dict[str, int]:
    return {
        "target": schedule.target_count,
        "max": schedule.max_count,
        "baseFeeUpdateFraction": schedule.base_fee_update_fraction,
    }
