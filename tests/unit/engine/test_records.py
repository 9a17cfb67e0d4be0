"""Records of blocks: dependencies that follow from the block, chains, conflicts, access lists."""

from __future__ import annotations

from pathlib import Path

import pytest
import rlp  # type: ignore[import-untyped]

from metis import engine
from metis.engine import Workload, keccak256
from metis.engine.records import BlockRecord, record_from
from metis.sdk import Network
from tests.story import Wallet
from tests.unit.engine.small_world import ALICE, BOB, ENVIRONMENT, SPEC, open_world, transfer


def record_of(kind: str, count: int, contracts: Path | None = None, workers: int = 2) -> BlockRecord:
    return record_from(Workload(kind, count, contracts).record(workers))


def test_record__transfers_between_strangers__has_no_dependencies() -> None:
    record = record_of("transfers", 40)
    assert record.dependencies == ()
    assert (record.transaction_count, len(record.chain), record.chain_gas) == (40, 1, 21_000)


def test_record__transactions_of_one_sender__is_one_chain() -> None:
    record = record_of("one-sender", 40)
    assert record.chain == tuple(range(40))
    assert [(one.transaction, one.on) for one in record.dependencies] == [(index, index - 1) for index in range(1, 40)]
    assert {one.slot for one in record.dependencies} == {None}


def test_record__transfers_of_a_token_to_one_account__depend_on_its_balance(fixtures: Path) -> None:
    folder = fixtures / "contracts"
    if not folder.is_dir():
        pytest.skip(f"no contracts at {folder}")
    record = record_of("erc20-90-hot", 60, folder)
    places = {(one.address, one.slot) for one in record.dependencies}
    assert len(places) == 1, "the hot account's balance, and nothing else"
    chain = [one.transaction for one in record.dependencies]
    assert list(record.chain[1:]) == chain
    assert all((one.address, one.slot) in places for one in record.conflicts)


def test_record__any_number_of_workers__differs_in_conflicts_alone() -> None:
    def without_luck(workers: int) -> tuple[object, ...]:
        record = record_of("relay", 40, workers=workers)
        return record.access_list, record.access_list_hash, record.dependencies, record.chain, record.chain_gas

    assert len({without_luck(workers) for workers in (1, 2, 4, 8)}) == 1


def test_record__one_transfer__has_the_access_list_of_the_eip() -> None:
    outcome = engine.execute_transactions(open_world(), SPEC, ENVIRONMENT, [transfer()], keeps_record=True)
    assert outcome.record is not None
    # EIP-7928: address, slots written, slots read, balances, nonces, codes; transactions count from 1.
    nobody = [bytes(20), [], [], [], [], []]
    alice = [bytes(ALICE), [], [], [[1, 10**18 - 1]], [[1, 1]], []]
    bob = [bytes(BOB), [], [], [[1, 1]], [], []]
    expected = rlp.encode([nobody, alice, bob])
    assert outcome.record.access_list == expected
    assert outcome.record.access_list_hash == keccak256(expected)


def test_record__where_nobody_asked__is_none() -> None:
    assert engine.execute_transactions(open_world(), SPEC, ENVIRONMENT, [transfer()]).record is None


def test_explain_block__of_the_next_block__commits_nothing() -> None:
    chain = Network.from_preset("hyperion").open()
    wallet = Wallet(chain.constants.chain_id)
    raw = wallet.sign(0, to=wallet.addresses[1], value=1, gas=21_000, gasPrice=2 * 10**9)
    built = chain.build([engine.decode_transaction(raw)])
    second = Network.from_preset("hyperion").open()
    record = engine.explain_block(second.store, second.spec, second.genesis, built.block)
    assert record.transaction_count == 1
    assert second.store.block_number == 0
