"""A small chain, and a right block for it, to be damaged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from metis import engine
from metis.cli.contract_files import load_contract
from metis.engine import BlockHandle, MemoryStore
from metis.sdk import Chain, MemoryStateStore, Network
from metis.types import BlockAttributes, Hash32, TimestampS
from tests.story import Wallet, deploy_block

__all__ = ["SampleChain", "fork_of", "sample_chain"]


@dataclass(frozen=True, slots=True)
class SampleChain:
    """
    A chain at genesis.

    Attributes
    ----------
    next_block : a right block on top of the head, with transactions of several types.
    attributes : what that block was built with.
    """

    chain: Chain
    state_root: Hash32
    next_block: BlockHandle
    attributes: BlockAttributes


def fork_of(chain: Chain) -> MemoryStore:
    """A store of its own with the chain's states."""
    assert isinstance(chain.store, MemoryStore)
    return chain.store.fork()


@cache
def sample_chain() -> SampleChain:
    """Make it once; tests must leave the chain as it is."""
    network = replace(Network.from_preset("hyperion"), state_store=MemoryStateStore())
    chain = network.open()
    wallet = Wallet(network.chain.chain_id)
    steps = deploy_block(wallet, load_contract("Token"), load_contract("SmartAccount"))
    attributes = BlockAttributes(
        timestamp_s=TimestampS(network.chain.genesis_timestamp_s + 2), gas_limit=network.chain.block_gas_limit
    )
    handles = engine.decode_transactions([step.raw for step in steps])
    built = engine.build_block(fork_of(chain), chain.spec, chain.head, attributes, handles)
    assert not built.skipped
    return SampleChain(chain, Hash32(chain.store.state_root()), built.block, attributes)
