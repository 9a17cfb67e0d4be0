"""State and storage roots equal those of a trie written without the engine."""

from __future__ import annotations

from collections.abc import Mapping

from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from metis import engine
from metis.types import Account, Address
from tests.property.encodings import addresses
from tests.property.reference_trie import EMPTY_ROOT, state_trie, storage_trie
from tests.property.states import accounts, open_store, states


def test_state_root__without_accounts__is_the_empty_root() -> None:
    assert open_store({}).state_root() == EMPTY_ROOT


@given(state=states)
def test_state_root__of_any_accounts__is_the_reference_tries(state: Mapping[Address, Account]) -> None:
    store = open_store(state)

    assert store.state_root() == state_trie(state).root
    assert store.accounts() == sorted(state)


@given(address=addresses, account=accounts)
def test_account__of_any_fields__is_read_back(address: Address, account: Account) -> None:
    store = open_store({address: account})

    read = engine.account_state(store, address)

    assert read is not None
    assert (read.nonce, read.balance_wei) == (account.nonce, account.balance_wei)
    assert read.code_hash == keccak(account.code)
    assert read.storage_root == storage_trie(account.storage).root
    assert store.code(address) == account.code
    assert store.storage_of(address) == {slot: value for slot, value in account.storage.items() if value}
    assert all(store.storage(address, slot) == value for slot, value in account.storage.items())


@given(state=states, address=addresses, slot=st.integers(0, 2**256 - 1))
def test_account__that_does_not_exist__is_none(state: Mapping[Address, Account], address: Address, slot: int) -> None:
    store = open_store({other: account for other, account in state.items() if other != address})

    assert engine.account_state(store, address) is None
    assert store.code(address) == b""
    assert store.storage(address, slot) == 0
