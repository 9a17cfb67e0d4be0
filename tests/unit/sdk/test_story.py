"""Blocks with transactions of every type, of which some fail and some are refused; executed again from their bytes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from metis import engine
from metis.cli.contract_files import load_contract
from metis.sdk import Chain, Network
from metis.types import Address
from tests.story import Step, Wallet, allowance_block, deploy_block, token_balance, token_block

IN_BLOCKS = {"success", "revert", "out-of-gas"}


def _built(chain: Chain, steps: Sequence[Step]) -> list[Address]:
    """Build a block and compare with what the steps expect; the contracts it created."""
    built = chain.build(engine.decode_transactions([step.raw for step in steps]))
    refused = {entry.index: entry.error.reason for entry in built.skipped}
    assert refused == {place: step.expected for place, step in enumerate(steps) if step.expected not in IN_BLOCKS}
    kept = [step for place, step in enumerate(steps) if place not in refused]
    succeeded = [receipt.success for receipt in built.receipts]
    assert succeeded == [step.expected == "success" for step in kept]
    return [receipt.contract_address for receipt in built.receipts if receipt.contract_address is not None]


@pytest.mark.parametrize("preset", ["ethereum", "hyperion"])
def test_story__on_every_preset__ends_as_its_steps_say_and_executes_again(preset: str) -> None:
    network = Network.from_preset(preset)
    chain, wallet = network.open(), Wallet(network.chain.chain_id)
    token, smart_account = load_contract("Token"), load_contract("SmartAccount")
    blocks = []

    at, code = _built(chain, deploy_block(wallet, token, smart_account))
    blocks.append(chain.head)
    _built(chain, token_block(wallet, at, token, code))
    blocks.append(chain.head)
    _built(chain, allowance_block(wallet, at))
    blocks.append(chain.head)

    types = {entry.type for block in blocks for entry in engine.describe_block(block).transactions}
    assert types == {0, 1, 2, 3, 4}
    balance = chain.call(at, token_balance(wallet.addresses[5])).output
    assert int.from_bytes(balance, "big") == 800 * 10**18
    second = network.open()
    for block in blocks:
        second.import_block(engine.decode_block(block.rlp))
    assert second.store.state_root() == chain.store.state_root()
