"""A network's chain in this process."""

from __future__ import annotations

from typing import Any

import pytest

from metis import engine
from metis.cli.contract_files import load_contract
from metis.sdk import Chain, MetisVm, Network, ParallelExecutor
from metis.types import Address, InvalidBlock, InvalidTransaction, TimestampS
from metis.types.units import Wei
from tests.story import Wallet

# PUSH0 CALLDATALOAD BLOCKHASH PUSH0 MSTORE PUSH1 32 PUSH0 RETURN, as init code that returns it.
_BLOCK_HASH_OF = bytes.fromhex("5f35405f5260205ff3")
_DEPLOY = bytes.fromhex("69") + _BLOCK_HASH_OF.rjust(10, b"\x5b") + bytes.fromhex("5f52600a6016f3")


@pytest.fixture
def chain() -> Chain:
    return Network.from_preset("hyperion").open()


@pytest.fixture
def wallet(chain: Chain) -> Wallet:
    return Wallet(chain.constants.chain_id)


def _deploy(chain: Chain, wallet: Wallet, init_code: bytes) -> Address:
    raw = wallet.sign(0, type=2, data=init_code, gas=1_000_000, maxFeePerGas=2 * 10**9, maxPriorityFeePerGas=0)
    built = chain.build([engine.decode_transaction(raw)])
    address = built.receipts[0].contract_address
    assert address is not None
    return address


def test_build__without_a_timestamp__is_one_block_time_later(chain: Chain) -> None:
    chain.build([])
    chain.build([])

    header = engine.describe_block(chain.head).header
    assert header.timestamp_s == chain.constants.genesis_timestamp_s + 2 * chain.constants.block_time_s


def test_build__with_a_timestamp_that_does_not_grow__leaves_the_chain_as_it_is(chain: Chain) -> None:
    with pytest.raises(InvalidBlock) as caught:
        chain.build([], timestamp_s=TimestampS(chain.constants.genesis_timestamp_s))

    assert caught.value.field == "timestamp_s"
    assert chain.head.hash == chain.genesis.hash
    chain.build([])


def test_import__a_block_on_another_head__leaves_the_chain_as_it_is(chain: Chain) -> None:
    other = Network.from_preset("hyperion").open()
    other.build([])
    second = other.build([]).block

    with pytest.raises(InvalidBlock):
        chain.import_block(second)

    assert chain.head.hash == chain.genesis.hash


def test_call__of_a_contract__answers_and_keeps_nothing(chain: Chain, wallet: Wallet) -> None:
    token = load_contract("Token")
    address = _deploy(chain, wallet, token.bytecode + (5).to_bytes(32, "big"))
    before = chain.store.state_root()

    outcome = chain.call(address, engine.keccak256(b"totalSupply()")[:4])

    assert (outcome.status, int.from_bytes(outcome.output, "big")) == ("success", 5)
    assert (chain.store.state_root(), chain.store.block_number) == (before, 1)


def test_call__in_somebodys_name__needs_no_signature(chain: Chain, wallet: Wallet) -> None:
    token = load_contract("Token")
    address = _deploy(chain, wallet, token.bytecode + (5).to_bytes(32, "big"))
    transfer = (
        engine.keccak256(b"transfer(address,uint256)")[:4] + bytes(12) + wallet.addresses[1] + (5).to_bytes(32, "big")
    )

    owner = chain.call(address, transfer, sender=wallet.addresses[0])
    stranger = chain.call(address, transfer, sender=wallet.addresses[2])

    assert (owner.status, stranger.status) == ("success", "revert")


def test_call__with_coins_the_sender_does_not_have__is_refused(chain: Chain, wallet: Wallet) -> None:
    with pytest.raises(InvalidTransaction) as caught:
        chain.call(wallet.addresses[1], b"", value_wei=Wei(1))

    assert caught.value.reason == "insufficient-funds"


def test_call__asking_for_block_hashes__knows_the_newest_256_ancestors(chain: Chain, wallet: Wallet) -> None:
    address = _deploy(chain, wallet, _DEPLOY)
    hashes = {0: chain.genesis.hash, 1: chain.head.hash}
    for _ in range(300):
        chain.build([])
        hashes[chain.head.number] = chain.head.hash

    def ask(number: int) -> bytes:
        return chain.call(address, number.to_bytes(32, "big")).output

    head = chain.head.number
    assert ask(head) == ask(head + 1) == ask(head - 257) == bytes(32)
    assert ask(head - 1) == hashes[head - 1]
    assert ask(head - 256) == hashes[head - 256]


def test_chain__of_parallel_parts__builds_the_same_blocks_as_a_plain_one() -> None:
    preset = Network.from_preset("hyperion")
    parts: dict[str, Any] = {"virtual_machine": MetisVm(mode="eager", workers=1), "executor": ParallelExecutor(2)}
    fast = Network.compose(name="fast", chain=preset.chain, fee_policy=preset.fee_policy, **parts).open()
    plain, wallet = preset.open(), Wallet(preset.chain.chain_id)
    fees: dict[str, Any] = {"maxFeePerGas": 2 * 10**9, "maxPriorityFeePerGas": 0, "gas": 100_000}
    for _ in range(3):
        receivers = [*wallet.addresses, *wallet.addresses]
        raw = [
            wallet.sign(place % 10, type=2, to=receivers[place * 3 % 20], value=place, **fees) for place in range(40)
        ]
        handles = engine.decode_transactions(raw)
        built = fast.build(handles)
        assert not built.skipped
        plain.import_block(engine.decode_block(built.block.rlp))
    assert fast.store.state_root() == plain.store.state_root()
