"""
A network of one's own: other fees, and a state store that counts.

    python examples/own_network.py

The parts are given as objects here. A package that others install names them by entry point
instead (metis/sdk/registry.py shows how), and then a preset file can ask for them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace

from eth_account import Account as Signer

from metis import engine
from metis.engine import MemoryStore
from metis.sdk import CollectedFees, MemoryStateStore, Network
from metis.types import Account, Address

TREASURY = Address(bytes.fromhex("7ea5" * 10))
RECEIVER = Address(bytes.fromhex("00000000000000000000000000000000000000aa"))

# The first account of the well-known test mnemonic: everyone has this key.
DEVELOPMENT_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"


class CountingStore:
    """A state store is a name, and a way to open one of the engine's stores."""

    name = "counting"

    def __init__(self) -> None:
        self.opened_count = 0

    def open(self, alloc: Mapping[Address, Account]) -> MemoryStore:
        """Open a store, and remember that it happened."""
        self.opened_count += 1
        return MemoryStateStore(kept_block_count=16).open(alloc)


def main() -> int:
    """Compose a network, build a block on it, and check the block on a second chain."""
    store = CountingStore()
    network = Network.compose(
        name="my-network",
        chain=replace(Network.from_preset("hyperion").chain, chain_id=987_654_321, block_time_s=1),
        state_store=store,
        fee_policy=CollectedFees(TREASURY),
    )
    signed = Signer.from_key(DEVELOPMENT_KEY).sign_transaction(
        {
            "chainId": network.chain.chain_id,
            "nonce": 0,
            "to": bytes(RECEIVER),
            "value": 10**18,
            "gas": 21_000,
            "maxFeePerGas": 2 * 10**9,
            "maxPriorityFeePerGas": 10**8,
            "type": 2,
        }
    )

    chain = network.open()
    built = chain.build([engine.decode_transaction(bytes(signed.raw_transaction))])
    second = network.open()
    second.import_block(engine.decode_block(built.block.rlp))

    treasury = engine.account_state(second.store, TREASURY)
    collected_wei = treasury.balance_wei if treasury is not None else 0
    sys.stdout.write(
        f"block {built.block.number} of {network.name}: 0x{built.block.hash.hex()}\n"
        f"stores opened: {store.opened_count}; both agree: {chain.store.state_root() == second.store.state_root()}\n"
        f"the treasury collected {collected_wei} wei\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
