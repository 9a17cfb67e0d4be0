"""Chains of large random blocks: built in parallel, taken by nodes that run them in order, in parallel and compiled."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from metis import engine
from metis.sdk import Network
from metis.sdk.genesis import genesis_accounts
from metis.types import Account, Address, BlockAttributes, Hash32, TimestampS, Wei
from metis.vm.eager import CompiledRun, compile_met
from tests.story import Wallet

GWEI = 10**9
PEOPLE_COUNT = 10
BLOCK_COUNT = 4
COUNTER = Address(b"\xc1" * 20)
LEDGER = Address(b"\xc2" * 20)
SEER = Address(b"\xc3" * 20)
FACTORY = Address(b"\xc4" * 20)
CODES = {
    # Adds one to slot 0, for all.
    COUNTER: "5f546001015f55",
    # Adds the value to the caller's slot, as a deposit does.
    LEDGER: "33543401335500",
    # Keeps the balance of the address that the input names.
    SEER: "5f35315f355500",
    # Creates a contract that keeps the block's number, always from the same code: another one each time.
    FACTORY: "63434355005f526004601c5ff05f5500",
}


@dataclass
class Dice:
    """What follows from a seed: the wallet's transactions."""

    seed: int
    wallet: Wallet
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def transaction(self) -> bytes:
        """One that mostly may be in a block."""
        sender = self.random.randrange(PEOPLE_COUNT)
        to = self.random.choice([*CODES, *self.wallet.addresses[:3], Address(self.random.randbytes(20))])
        fields: dict[str, Any] = {
            "to": bytes(to),
            "gas": 200_000,
            "value": self.random.choice([0, 0, 1, 10**6]),
            "gasPrice": 3 * GWEI,
        }
        if to == SEER:
            seen = self.random.choice([COUNTER, LEDGER, *self.wallet.addresses])
            fields |= {"data": bytes(12) + seen, "value": 0}
        if to in (COUNTER, FACTORY):
            fields["value"] = 0
        if self.random.random() < 0.03:
            return self.wallet.sign(sender, included=False, skip_nonces=3, **fields)
        if self.random.random() < 0.03:
            return self.wallet.sign(sender, included=False, **{**fields, "value": 10**30})
        return self.wallet.sign(sender, **fields)


@pytest.mark.parametrize("seed", range(2))
def test_chain__built_by_many_workers__is_taken_by_nodes_of_any_kind(seed: int) -> None:
    network = Network.from_preset("ethereum")
    dice = Dice(seed, Wallet(network.chain.chain_id))
    contracts = {at: Account(1, Wei(0), bytes.fromhex(code), {}) for at, code in CODES.items()}
    accounts = {**genesis_accounts(network.chain), **contracts}
    genesis = json.dumps(network.genesis()).encode()
    spec = engine.ChainSpec.from_genesis(genesis)
    builder = engine.MemoryStore(accounts)
    parent = engine.genesis_block(genesis, Hash32(builder.state_root()))
    registry = engine.CodeRegistry("eager")
    nodes = [
        engine.Node.open(genesis, accounts, workers=1),
        engine.Node.open(genesis, accounts, workers=8),
        engine.Node.open(genesis, accounts, workers=4, registry=registry),
    ]
    for number in range(1, BLOCK_COUNT + 1):
        raw = [dice.transaction() for _ in range(dice.random.randint(24, 80))]
        attributes = BlockAttributes(
            timestamp_s=TimestampS(network.chain.genesis_timestamp_s + 12 * number),
            beneficiary=dice.wallet.addresses[number],
            gas_limit=network.chain.block_gas_limit,
        )
        handles = engine.decode_transactions(raw)
        built = engine.build_block(builder, spec, parent, attributes, handles, workers=2 + number)
        assert len(built.receipts) >= 16, "fewer are run in order"
        for node in nodes:
            node.import_block(engine.decode_block(built.block.rlp))
            assert node.head_hash == built.block.hash
            assert node.raw_receipts(built.block.hash) == nodes[0].raw_receipts(built.block.hash)
        compile_met(registry, 1, CompiledRun())
        parent = built.block
    assert sum(row["frames_compiled"] for row in registry.report()) > 0
