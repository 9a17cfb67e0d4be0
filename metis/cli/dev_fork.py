"""From settings with a fork to its chain: asks the upstream node where to begin, before anything listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from metis.cli.dev_chain import DevelopmentChain, open_chain
from metis.node.config import NodeConfig
from metis.node.errors import ConfigError
from metis.node.fork import ForkOrigin, ForkService, Upstream, accounts_on_top, find_origin, make_client
from metis.node.service import Beginning
from metis.sdk import Network, preset_names

__all__ = ["find_beginning", "open_fork"]

RULES_OF_OTHER_CHAINS = "ethereum"


def open_fork(settings: NodeConfig) -> tuple[DevelopmentChain, Callable[[], ForkService]]:
    """
    Find the block to fork, and fit the preset's chain to it.

    Returns
    -------
    The chain, and what makes its fork on the event loop that the node runs on.

    Raises
    ------
    UpstreamError : the upstream node does not answer. ConfigError : the settings do not fit each other,
        or there is no such block. CompositionError : there is no such preset.
    """
    _check(settings)
    origin, upstream, chain = asyncio.run(_prepare(settings))

    def make() -> ForkService:
        client = make_client(settings.fork)
        return ForkService(origin, Upstream(client, upstream.cache, origin.block_number), settings.fork)

    return chain, make


async def find_beginning(settings: NodeConfig) -> Beginning:
    """
    Find another block to fork while a node runs; as :func:`open_fork`.

    Raises
    ------
    As :func:`open_fork`.
    """
    _check(settings)
    origin, upstream, chain = await _prepare(settings)
    fork = ForkService(origin, Upstream(make_client(settings.fork), upstream.cache, origin.block_number), settings.fork)
    return Beginning(chain.genesis, chain.accounts, fork)


def _check(settings: NodeConfig) -> None:
    if settings.storage.path:
        raise ConfigError("storage.path", "cannot be set with fork.url: a fork is kept in memory")
    if settings.engine_api.enabled:
        raise ConfigError("engine_api.enabled", "cannot be set with fork.url: a consensus client has no such chain")
    if settings.genesis_path:
        raise ConfigError("genesis_path", "cannot be set with fork.url: the chain begins at a block of the other node")
    if settings.fork.transaction_hash and settings.fork.block_number >= 0:
        raise ConfigError("fork.transaction_hash", "cannot be set with fork.block_number")


async def _prepare(settings: NodeConfig) -> tuple[ForkOrigin, Upstream, DevelopmentChain]:
    client = make_client(settings.fork)
    try:
        origin, upstream = await find_origin(settings.fork, client)
        rules = settings.fork.rules or _preset_of(origin.chain_id)
        chain = open_chain(replace(settings, preset=rules, chain_id=settings.chain_id or origin.chain_id))
        funded = {key.address for key in chain.keys}
        accounts = await accounts_on_top(upstream, chain.accounts, funded)
    finally:
        await client.close()
    return origin, upstream, replace(chain, accounts=accounts)


def _preset_of(chain_id: int) -> str:
    """Name the preset that has this chain id: a fork of a chain of ours has that chain's rules."""
    presets = ((name, Network.from_preset(name)) for name in preset_names())
    return next((name for name, network in presets if network.chain.chain_id == chain_id), RULES_OF_OTHER_CHAINS)
