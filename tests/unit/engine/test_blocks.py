"""Building and importing blocks; a public chain from Frontier to Osaka imported from its bytes."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]

from metis import engine
from metis.engine import ChainSpec, MemoryStore
from metis.rpc.namespaces.trie_root import list_root
from metis.sdk import Chain, MemoryStateStore, Network
from metis.types import (
    Account,
    Address,
    BlockAttributes,
    Gas,
    Hash32,
    InvalidBlock,
    InvalidTransaction,
    StateUnavailable,
    TimestampS,
    Wei,
    Withdrawal,
)
from tests.story import Wallet

GWEI = 10**9


@pytest.fixture
def chain() -> Chain:
    return Network.from_preset("hyperion").open()


@pytest.fixture
def wallet(chain: Chain) -> Wallet:
    return Wallet(chain.constants.chain_id)


def _transfer(wallet: Wallet, sender: int, **fields: Any) -> engine.TransactionHandle:
    defaults = {"to": wallet.addresses[9], "value": 1, "gas": 21_000, "gasPrice": 2 * GWEI}
    return engine.decode_transaction(wallet.sign(sender, **{**defaults, **fields}))


def _attributes(chain: Chain, **changes: Any) -> BlockAttributes:
    timestamp_s = TimestampS(chain.head.header_fields()["timestamp_s"] + 2)
    return replace(BlockAttributes(timestamp_s=timestamp_s, gas_limit=chain.constants.block_gas_limit), **changes)


def test_build__candidates_that_fit__are_all_in_the_block(chain: Chain, wallet: Wallet) -> None:
    built = chain.build([_transfer(wallet, sender) for sender in range(5)])

    block = engine.describe_block(built.block)
    assert [entry.sender for entry in block.transactions] == list(wallet.addresses[:5])
    assert built.skipped == ()
    assert (block.header.number, block.header.gas_used) == (1, 5 * 21_000)
    assert block.header.parent_hash == chain.genesis.hash
    assert block.header.state_root == chain.store.state_root()
    assert block.size_bytes == len(built.block.rlp)


def test_build__candidates_that_do_not_fit__are_skipped_with_reasons(chain: Chain, wallet: Wallet) -> None:
    candidates = [
        _transfer(wallet, 0, nonce=1),
        _transfer(wallet, 1),
        _transfer(wallet, 2, value=20_000 * 10**18),
        _transfer(wallet, 3, gasPrice=1),
        _transfer(wallet, 4, chainId=1),
    ]

    built = chain.build(candidates)

    assert len(built.receipts) == 1
    assert [(entry.index, entry.error.reason, entry.error.index) for entry in built.skipped] == [
        (0, "nonce-too-high", 0),
        (2, "insufficient-funds", 2),
        (3, "fee-cap-below-base-fee", 3),
        (4, "wrong-chain-id", 4),
    ]


def test_build__more_gas_than_a_block_has__leaves_the_rest_out(chain: Chain, wallet: Wallet) -> None:
    candidates = [_transfer(wallet, sender, gas=25_000_000) for sender in range(4)]

    built = chain.build(candidates)

    # What counts is what was used: each transfer uses 21,000 of the 25 million it asked for.
    assert built.skipped == ()
    assert sum(receipt.gas_used for receipt in built.receipts) == 4 * 21_000


def test_build__base_fee__goes_to_the_recipient_and_tips_to_the_beneficiary(chain: Chain, wallet: Wallet) -> None:
    beneficiary = Address(bytes([0xBE]) * 20)

    built = chain.build([_transfer(wallet, 0)], beneficiary=beneficiary)

    base_fee_wei = engine.describe_block(built.block).header.base_fee_per_gas_wei or 0
    vault, tips = (
        engine.account_state(chain.store, address)
        for address in (Address(bytes.fromhex("4200000000000000000000000000000000000019")), beneficiary)
    )
    assert vault is not None
    assert tips is not None
    assert vault.balance_wei == 21_000 * base_fee_wei
    assert tips.balance_wei == 21_000 * (2 * GWEI - base_fee_wei)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timestamp_s": TimestampS(0)}, "timestamp_s"),
        ({"extra_data": bytes(33)}, "extra_data"),
        ({"gas_limit": Gas(1)}, "gas_limit"),
    ],
)
def test_build__attributes_that_break_a_rule__are_refused_and_nothing_is_kept(
    chain: Chain, change: dict[str, Any], field: str
) -> None:
    before = chain.store.state_root()

    with pytest.raises(InvalidBlock) as caught:
        engine.build_block(chain.store, chain.spec, chain.head, _attributes(chain, **change), [])

    assert caught.value.field == field
    assert (chain.store.state_root(), chain.store.block_number) == (before, 0)


def test_build__withdrawals__are_paid_in_gwei(chain: Chain) -> None:
    address = Address(bytes([0x77]) * 20)
    attributes = _attributes(chain, withdrawals=[Withdrawal(0, 9, address, 3)])

    built = engine.build_block(chain.store, chain.spec, chain.head, attributes, [])

    account = engine.account_state(chain.store, address)
    assert account is not None
    assert account.balance_wei == 3 * GWEI
    assert engine.describe_block(built.block).withdrawals == (Withdrawal(0, 9, address, 3),)


def test_build__on_a_parent_that_is_not_the_newest__is_refused(chain: Chain) -> None:
    chain.build([])

    with pytest.raises(InvalidBlock) as caught:
        engine.build_block(chain.store, chain.spec, chain.genesis, _attributes(chain), [])

    assert caught.value.field == "parent_hash"


def test_import__on_a_second_store__gives_the_same_receipts_and_root(chain: Chain, wallet: Wallet) -> None:
    built = chain.build([_transfer(wallet, sender) for sender in range(3)])
    second = Network.from_preset("hyperion").open()

    receipts = second.import_block(engine.decode_block(built.block.rlp))

    assert receipts == built.receipts
    assert second.store.state_root() == chain.store.state_root()
    assert second.head.hash == chain.head.hash


def test_build__block_large_enough_for_all_cores__has_the_roots_that_one_core_finds(
    chain: Chain, wallet: Wallet
) -> None:
    # 300 accounts change, in 300 transactions: roots are made on several threads then.
    fresh = [(0x1000_0000 + number).to_bytes(20, "big") for number in range(300)]
    candidates = [_transfer(wallet, number % 10, to=address) for number, address in enumerate(fresh)]

    built = chain.build(candidates)

    assert built.skipped == ()
    header = engine.describe_block(built.block).header
    assert header.transactions_root == list_root([candidate.raw for candidate in candidates])
    # The import makes the root of the receipts on one core.
    second = Network.from_preset("hyperion").open()
    assert second.import_block(engine.decode_block(built.block.rlp)) == built.receipts


def test_import__the_same_block_twice__is_refused(chain: Chain) -> None:
    built = chain.build([])

    with pytest.raises(InvalidBlock):
        chain.import_block(built.block)


def test_import__under_other_rules__is_refused(chain: Chain, wallet: Wallet) -> None:
    """A block of the chain that collects base fees is not one of a chain that burns them."""
    built = chain.build([_transfer(wallet, 0)])
    network = Network.from_preset("hyperion")
    burning = Network.compose(name="burning", chain=network.chain).open()

    with pytest.raises(InvalidBlock):
        burning.import_block(engine.decode_block(built.block.rlp))


def test_import__of_a_block_with_a_transaction_that_may_not_be__says_which_and_why(
    chain: Chain, wallet: Wallet
) -> None:
    built = chain.build([_transfer(wallet, 0, nonce=nonce) for nonce in (0, 1)])
    header, transactions, *rest = rlp.decode(built.block.rlp)
    later_first = transactions[::-1]
    header[4] = list_root([rlp.encode(transaction) for transaction in later_first])
    other = Network.from_preset("hyperion").open()

    with pytest.raises(InvalidBlock) as caught:
        other.import_block(engine.decode_block(rlp.encode([header, later_first, *rest])))

    assert caught.value.field == "transactions[0]"
    assert isinstance(caught.value.__cause__, InvalidTransaction)
    assert (caught.value.__cause__.reason, caught.value.__cause__.index) == ("nonce-too-high", 0)


def test_revert__and_build_again__takes_another_branch(wallet: Wallet) -> None:
    chain = replace(Network.from_preset("hyperion"), state_store=MemoryStateStore()).open()
    first = chain.build([_transfer(wallet, 0)])
    assert isinstance(chain.store, MemoryStore)
    fork = chain.store.fork()

    chain.store.revert_to(0)
    other = engine.build_block(chain.store, chain.spec, chain.genesis, _attributes_of(first.block), [])

    assert other.block.hash != first.block.hash
    assert fork.state_root() == engine.describe_block(first.block).header.state_root
    with pytest.raises(StateUnavailable):
        chain.store.state_root(2)


def _attributes_of(block: engine.BlockHandle) -> BlockAttributes:
    header = engine.describe_block(block).header
    return BlockAttributes(timestamp_s=header.timestamp_s, gas_limit=header.gas_limit)


def test_blockhash__of_an_ancestor__is_its_hash_when_built_and_when_imported(chain: Chain, wallet: Wallet) -> None:
    # PUSH1 n BLOCKHASH PUSH1 n SSTORE, for the blocks 0 and 1; then the code is empty.
    code = bytes.fromhex("5f405f5560014060015500")
    parent = chain.build([]).block
    create = _transfer(wallet, 0, to=b"", data=code, gas=200_000)

    built = chain.build([create])

    created = built.receipts[0].contract_address
    assert created is not None
    assert chain.store.storage(created, 0) == int.from_bytes(chain.genesis.hash, "big")
    assert chain.store.storage(created, 1) == int.from_bytes(parent.hash, "big")
    second = Network.from_preset("hyperion").open()
    for block in (parent, built.block):
        second.import_block(engine.decode_block(block.rlp))
    assert second.store.state_root() == chain.store.state_root()


def test_blockhash__at_the_end_of_its_reach__is_the_same_when_built_and_when_imported(
    chain: Chain, wallet: Wallet
) -> None:
    """Of the 256 newest ancestors, the oldest has a hash, the one before it has none."""
    hashes = [chain.genesis.hash]
    blocks = []
    for _ in range(299):
        blocks.append(chain.build([]).block)
        hashes.append(chain.head.hash)
    # Store BLOCKHASH(NUMBER - 256) at 0 and BLOCKHASH(NUMBER - 257) at 1.
    code = bytes.fromhex("6101004303405f55" + "610101430340600155" + "00")

    built = chain.build([_transfer(wallet, 0, to=b"", data=code, gas=200_000)])

    created = built.receipts[0].contract_address
    assert created is not None
    assert chain.store.storage(created, 0) == int.from_bytes(hashes[300 - 256], "big")
    assert chain.store.storage(created, 1) == 0
    second = Network.from_preset("hyperion").open()
    for block in (*blocks, built.block):
        second.import_block(block)
    assert second.store.state_root() == chain.store.state_root()


@pytest.fixture(scope="module")
def public_chain(fixtures: Path) -> tuple[bytes, list[bytes]]:
    """Genesis and blocks of the Ethereum execution API test chain: every fork from Frontier to BPO2."""
    archive = fixtures / "execution-apis-tests.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    with tarfile.open(archive) as tar:
        files = []
        for name in ("genesis.json", "chain.rlp"):
            member = tar.extractfile(f"execution-apis-tests/{name}")
            assert member is not None
            files.append(member.read())
    genesis, chain_rlp = files
    blocks = []
    position = 0
    while position < len(chain_rlp):
        length = _item_length(chain_rlp, position)
        blocks.append(chain_rlp[position : position + length])
        position += length
    return genesis, blocks


def _item_length(data: bytes, position: int) -> int:
    """Length of the RLP list at ``position``, its prefix included."""
    first = data[position]
    if first <= 0xF7:
        return 1 + first - 0xC0
    size = first - 0xF7
    return 1 + size + int.from_bytes(data[position + 1 : position + 1 + size], "big")


def _alloc(genesis: bytes) -> dict[Address, Account]:
    return {
        Address(bytes.fromhex(address)): Account(
            nonce=int(fields.get("nonce", "0x0"), 16),
            balance_wei=Wei(int(fields["balance"], 16)),
            code=bytes.fromhex(fields.get("code", "0x")[2:]),
            storage={int(slot, 16): int(value, 16) for slot, value in fields.get("storage", {}).items()},
        )
        for address, fields in json.loads(genesis)["alloc"].items()
    }


def test_import__a_public_chain_through_every_fork__every_root_and_hash_agrees(
    public_chain: tuple[bytes, list[bytes]],
) -> None:
    genesis, encoded = public_chain
    spec = ChainSpec.from_genesis(genesis)
    store = MemoryStateStore().open(_alloc(genesis))
    head = engine.genesis_block(genesis, Hash32(store.state_root()))
    forks = set()

    for raw in encoded:
        block = engine.decode_block(raw)
        header = engine.describe_block(block).header
        forks.add(spec.fork_at(header.number, header.timestamp_s))
        assert header.parent_hash == head.hash
        engine.import_block(store, spec, head, block)
        assert store.state_root() == header.state_root
        head = block

    assert forks == set(engine.fork_names()) - {"Homestead"} or len(forks) >= 10
    assert head.number == len(encoded)
