"""
A store, through any series of blocks, reverts and forks, against plain dictionaries.

Blocks run real transactions: transfers, a contract that writes any slot, one that destroys itself.
The rules are Shanghai's, where a destroyed contract and its storage go away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule

from metis import engine
from metis.engine import ChainSpec, MemoryStore, TransactionHandle
from metis.types import (
    Account,
    Address,
    BlockEnvironment,
    BlockNumber,
    Gas,
    Hash32,
    StateUnavailable,
    UnsignedTransaction,
    Wei,
)
from tests.property.reference_trie import state_trie
from tests.property.states import open_store

State = dict[Address, Account]

_KEPT_BLOCK_COUNT = 3
_PEOPLE = tuple(Address(bytes([1]) * 19 + bytes([index])) for index in range(4))
_NEWCOMERS = tuple(Address(bytes([2]) * 19 + bytes([index])) for index in range(3))
_WRITER = Address(bytes([3]) * 20)
_MORTAL = Address(bytes([4]) * 20)
_RICH = Wei(10**30)

# storage[calldata[0:32]] = calldata[32:64]
_WRITER_CODE = bytes.fromhex("6020355f355500")
# Writes the same way; without calldata it destroys itself, leaving its coins to the caller.
_MORTAL_CODE = bytes.fromhex("3660065733ff5b6020355f355500")


def _genesis() -> State:
    people = {address: Account(balance_wei=_RICH) for address in _PEOPLE}
    return people | {
        _WRITER: Account(nonce=1, code=_WRITER_CODE),
        _MORTAL: Account(nonce=1, balance_wei=Wei(7), code=_MORTAL_CODE, storage={1: 1, 2: 2}),
    }


@dataclass
class Modelled:
    """A store and what it should hold: the kept blocks' states and their roots, by number."""

    store: MemoryStore
    states: dict[int, State]
    roots: dict[int, bytes]

    @property
    def newest(self) -> int:
        return max(self.states)


@dataclass(frozen=True)
class Transfer:
    sender: Address
    to: Address
    value_wei: Wei


@dataclass(frozen=True)
class Write:
    sender: Address
    contract: Address
    slot: int
    value: int


@dataclass(frozen=True)
class Destroy:
    sender: Address


Action = Transfer | Write | Destroy

_people = st.sampled_from(_PEOPLE)
_slots = st.integers(0, 5) | st.integers(0, 2**256 - 1)
_actions = st.one_of(
    st.builds(Transfer, _people, st.sampled_from(_PEOPLE + _NEWCOMERS), st.integers(0, 10**6).map(Wei)),
    st.builds(Write, _people, st.sampled_from([_WRITER, _MORTAL]), _slots, st.integers(0, 3)),
    st.builds(Destroy, _people),
)


def _transaction(action: Action, nonce: int) -> TransactionHandle:
    to, value, data = _MORTAL, Wei(0), b""
    if isinstance(action, Transfer):
        to, value = action.to, action.value_wei
    elif isinstance(action, Write):
        to, data = action.contract, action.slot.to_bytes(32, "big") + action.value.to_bytes(32, "big")
    return engine.unsigned_transaction(
        UnsignedTransaction(action.sender, nonce, Gas(200_000), Wei(0), to=to, value_wei=value, data=data)
    )


def _credit(state: State, address: Address, value_wei: int) -> None:
    account = state.get(address)
    if account is None and value_wei == 0:
        return  # SPEC: EIP-161, an account that stays empty does not come into being.
    account = account or Account()
    state[address] = replace(account, balance_wei=Wei(account.balance_wei + value_wei))


def _apply(state: State, action: Action) -> None:
    sender = state[action.sender]
    state[action.sender] = replace(sender, nonce=sender.nonce + 1)
    if isinstance(action, Transfer):
        _credit(state, action.sender, -action.value_wei)
        _credit(state, action.to, action.value_wei)
    elif isinstance(action, Write):
        account = state.get(action.contract)
        if account is not None:  # Calls to the destroyed contract do nothing.
            storage = {**account.storage, action.slot: action.value}
            state[action.contract] = replace(account, storage={key: value for key, value in storage.items() if value})
    elif _MORTAL in state:
        _credit(state, action.sender, state.pop(_MORTAL).balance_wei)


class StoreMachine(RuleBasedStateMachine):
    stores: Bundle[Modelled] = Bundle("stores")

    def __init__(self) -> None:
        super().__init__()
        self.spec = ChainSpec.at_fork("Shanghai")

    @initialize(target=stores)
    def open(self) -> Modelled:
        return Modelled(open_store(_genesis(), _KEPT_BLOCK_COUNT), {0: _genesis()}, {0: state_trie(_genesis()).root})

    @rule(modelled=stores, actions=st.lists(_actions, max_size=5), skipped_numbers=st.sampled_from([0, 0, 0, 2]))
    def add_block(self, modelled: Modelled, actions: list[Action], skipped_numbers: int) -> None:
        state = dict(modelled.states[modelled.newest])
        number = modelled.newest + 1 + skipped_numbers
        transactions = []
        for action in actions:
            transactions.append(_transaction(action, state[action.sender].nonce))
            _apply(state, action)

        outcome = engine.execute_transactions(
            modelled.store, self.spec, BlockEnvironment(number=BlockNumber(number)), transactions, commit=True
        )

        assert all(receipt.success for receipt in outcome.receipts)
        modelled.states[number] = state
        modelled.roots[number] = state_trie(state).root
        for old in sorted(modelled.states)[: -_KEPT_BLOCK_COUNT - 1]:
            del modelled.states[old]
        assert outcome.state_root == modelled.store.state_root()
        _check(modelled)

    @rule(modelled=stores, actions=st.lists(_actions, min_size=1, max_size=3))
    def only_simulate(self, modelled: Modelled, actions: list[Action]) -> None:
        state = dict(modelled.states[modelled.newest])
        transactions = []
        for action in actions:
            transactions.append(_transaction(action, state[action.sender].nonce))
            _apply(state, action)

        environment = BlockEnvironment(number=BlockNumber(modelled.newest + 1))
        outcome = engine.execute_transactions(modelled.store, self.spec, environment, transactions)

        assert outcome.state_root == state_trie(state).root
        _check(modelled)

    @rule(modelled=stores, data=st.data())
    def revert(self, modelled: Modelled, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(modelled.states)))

        modelled.store.revert_to(number)

        modelled.states = {kept: state for kept, state in modelled.states.items() if kept <= number}
        _check(modelled)

    @rule(modelled=stores, beyond=st.integers(1, 5))
    def revert_to_a_block_that_is_not_kept(self, modelled: Modelled, beyond: int) -> None:
        number = modelled.newest + beyond

        with pytest.raises(StateUnavailable) as caught:
            modelled.store.revert_to(number)

        window = (caught.value.block_number, caught.value.oldest, caught.value.newest)
        assert window == (number, min(modelled.states), modelled.newest)
        _check(modelled)

    @rule(target=stores, modelled=stores)
    def fork(self, modelled: Modelled) -> Modelled:
        return Modelled(modelled.store.fork(), dict(modelled.states), dict(modelled.roots))

    @rule(modelled=stores, data=st.data())
    def read_an_old_block(self, modelled: Modelled, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(modelled.states)))
        state = modelled.states[number]

        assert modelled.store.accounts(number) == sorted(state)
        for address, account in state.items():
            assert modelled.store.storage_of(address, number) == account.storage
            read = engine.account_state(modelled.store, address, number)
            assert read is not None
            assert (read.nonce, read.balance_wei) == (account.nonce, account.balance_wei)
        proof = engine.prove(modelled.store, _MORTAL, [1, 2], number)
        engine.verify_proof(Hash32(modelled.store.state_root(number)), proof)


def _check(modelled: Modelled) -> None:
    store = modelled.store
    assert (store.oldest_block_number, store.block_number) == (min(modelled.states), modelled.newest)
    for number in modelled.states:
        assert store.state_root(number) == modelled.roots[number]


TestStoreMachine = StoreMachine.TestCase
