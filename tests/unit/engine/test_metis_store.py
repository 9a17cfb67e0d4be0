"""MetisDB from Python: a store like the one in memory, and one that a folder keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from metis import engine
from metis.engine import MemoryStore, MetisStore
from metis.types import Account, Address, BlockNumber, StateUnavailable, StorageError, Wei
from tests.unit.engine.small_world import ENVIRONMENT, SPEC

ADDRESSES = [Address(bytes([index]) * 20) for index in range(1, 40)]
ALLOC = {
    bytes(address): Account(
        nonce=index,
        balance_wei=Wei(10**18 * index),
        code=bytes([0x5B]) * (index % 3),
        storage={slot * 7: slot + index for slot in range(1, index % 5)},
    )
    for index, address in enumerate(ADDRESSES)
}


def _describe(store: engine.Store) -> dict[bytes, object]:
    return {
        address: (store.account(address), store.code(address), store.storage_of(address))
        for address in store.accounts()
    }


def _commit_empty(store: engine.Store, number: int) -> None:
    engine.execute_transactions(store, SPEC, replace(ENVIRONMENT, number=BlockNumber(number)), [], commit=True)


def test_metis_store__with_the_accounts_of_a_memory_store__answers_as_it_does() -> None:
    ours, theirs = MetisStore(ALLOC, segment_log2=6), MemoryStore(ALLOC)
    assert ours.state_root() == theirs.state_root()
    assert _describe(ours) == _describe(theirs)
    for address in [*ADDRESSES[:5], Address(bytes(20))]:
        proof = engine.prove(ours, address, [7, 8])
        assert proof == engine.prove(theirs, address, [7, 8])


def test_metis_store__opened_again__has_its_blocks_and_not_the_new_accounts(tmp_path: Path) -> None:
    store = MetisStore.open(str(tmp_path), ALLOC)
    _commit_empty(store, 1)
    _commit_empty(store, 2)
    before = (store.block_number, store.state_root(), _describe(store))
    del store
    again = MetisStore.open(str(tmp_path), {})
    assert (again.block_number, again.state_root(), _describe(again)) == before
    again.revert_to(1)
    assert again.block_number == 1
    with pytest.raises(StateUnavailable):
        again.state_root(2)


def test_metis_store__opened_twice__is_refused(tmp_path: Path) -> None:
    store = MetisStore.open(str(tmp_path), ALLOC)
    with pytest.raises(StorageError) as caught:
        MetisStore.open(str(tmp_path), ALLOC)
    assert caught.value.kind == "locked"
    assert store.block_number == 0


def test_open_to_read__beside_a_writer__stays_at_its_block_and_takes_no_changes(tmp_path: Path) -> None:
    store = MetisStore.open(str(tmp_path), ALLOC)
    _commit_empty(store, 1)
    reader = MetisStore.open_to_read(str(tmp_path))
    _commit_empty(store, 2)
    store.checkpoint()
    assert (reader.block_number, store.block_number) == (1, 2)
    assert _describe(reader) == _describe(store)
    with pytest.raises(StorageError) as caught:
        _commit_empty(reader, 2)
    assert caught.value.kind == "read-only"
    assert MetisStore.open_to_read(str(tmp_path)).block_number == 2


def test_open_to_read__of_no_store__is_refused(tmp_path: Path) -> None:
    for folder, kind in ((tmp_path, "io"), (tmp_path / "none", "not-there")):
        with pytest.raises(StorageError) as caught:
            MetisStore.open_to_read(str(folder))
        assert caught.value.kind == kind
    assert list(tmp_path.iterdir()) == []


def test_metis_store__a_damaged_file__is_a_typed_error(tmp_path: Path) -> None:
    MetisStore.open(str(tmp_path), ALLOC)
    state = tmp_path / "state"
    content = bytearray(state.read_bytes())
    content[9_000:] = bytes(len(content) - 9_000)
    state.write_bytes(content)
    with pytest.raises(StorageError) as caught:
        MetisStore.open(str(tmp_path), ALLOC)
    assert caught.value.kind == "corrupt"
