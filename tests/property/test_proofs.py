"""EIP-1186 proofs hold for what is true and for nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metis import engine
from metis.engine import AccountProof, AccountState, MemoryStore
from metis.types import Account, Address, DecodeError, Hash32, Wei
from tests.property.encodings import addresses, words
from tests.property.oracle import keccak
from tests.property.reference_trie import state_trie, storage_trie
from tests.property.states import open_store, states


@st.composite
def _proofs(draw: st.DrawFn) -> tuple[Mapping[Address, Account], MemoryStore, AccountProof]:
    """A state, a store with it, and the proof of an account (that may not exist) and slots of it."""
    state = draw(states)
    store = open_store(state)
    known = sorted(state)
    address = draw(st.sampled_from(known) | addresses if known else addresses)
    stored = sorted(state[address].storage) if address in state else []
    slots = draw(st.lists(st.sampled_from(stored) | words if stored else words, max_size=4))
    return state, store, engine.prove(store, address, slots)


def _is_true(proof: AccountProof, store: MemoryStore) -> bool:
    """Whether a proof's claims, without its evidence, are what the store holds."""
    return proof.account == engine.account_state(store, proof.address) and all(
        entry.value == store.storage(proof.address, entry.slot) for entry in proof.storage_proofs
    )


@given(example=_proofs())
def test_proof__of_any_account_and_slots__holds_and_says_what_is_stored(
    example: tuple[Mapping[Address, Account], MemoryStore, AccountProof],
) -> None:
    state, store, proof = example

    engine.verify_proof(Hash32(store.state_root()), proof)

    account = state.get(proof.address)
    assert (proof.account is not None) == (account is not None)
    assert proof.account == engine.account_state(store, proof.address)
    storage = account.storage if account is not None else {}
    assert [entry.value for entry in proof.storage_proofs] == [
        storage.get(entry.slot, 0) for entry in proof.storage_proofs
    ]


@given(example=_proofs(), data=st.data())
def test_multi_proof__of_several_accounts__holds_as_it_is_and_not_with_a_bit_flipped(
    example: tuple[Mapping[Address, Account], MemoryStore, AccountProof], data: st.DataObject
) -> None:
    state, store, proof = example
    root = Hash32(store.state_root())
    others = [engine.prove(store, address) for address in sorted(state)]

    multi = engine.merge_proofs([proof, *others])

    engine.verify_multi_proof(root, multi)
    assert len(set(multi.nodes)) == len(multi.nodes)
    assume(multi.nodes)
    place = data.draw(st.integers(0, len(multi.nodes) - 1))
    bit = data.draw(st.integers(0, len(multi.nodes[place]) * 8 - 1))
    node = bytearray(multi.nodes[place])
    node[bit // 8] ^= 1 << (bit % 8)
    nodes = (*multi.nodes[:place], bytes(node), *multi.nodes[place + 1 :])
    with pytest.raises(DecodeError):
        engine.verify_multi_proof(root, replace(multi, nodes=nodes))


@given(example=_proofs())
def test_proof__its_nodes__are_the_reference_tries(
    example: tuple[Mapping[Address, Account], MemoryStore, AccountProof],
) -> None:
    state, _, proof = example
    trie = state_trie(state)

    assert {keccak(node) for node in proof.nodes} <= set(trie.nodes)
    if state:
        assert keccak(proof.nodes[0]) == trie.root
    account = state.get(proof.address)
    if account is not None:
        below = storage_trie(account.storage)
        assert all(keccak(node) in below.nodes for entry in proof.storage_proofs for node in entry.nodes)


@given(example=_proofs(), data=st.data())
def test_proof__with_a_false_claim__is_refused(
    example: tuple[Mapping[Address, Account], MemoryStore, AccountProof], data: st.DataObject
) -> None:
    _, store, proof = example
    forged = data.draw(_forgeries(proof))
    assume(not _is_true(forged, store))

    with pytest.raises(DecodeError) as caught:
        engine.verify_proof(Hash32(store.state_root()), forged)

    assert caught.value.subject == "proof"
    assert caught.value.field


@given(example=_proofs(), data=st.data())
def test_proof__with_a_damaged_node__is_refused(
    example: tuple[Mapping[Address, Account], MemoryStore, AccountProof], data: st.DataObject
) -> None:
    state, store, proof = example
    assume(state)
    nodes = list(proof.nodes)
    index = data.draw(st.integers(0, len(nodes) - 1))
    if data.draw(st.booleans()):
        position = data.draw(st.integers(0, len(nodes[index]) - 1))
        nodes[index] = nodes[index][:position] + bytes([nodes[index][position] ^ 1]) + nodes[index][position + 1 :]
    else:
        del nodes[index]

    with pytest.raises(DecodeError) as caught:
        engine.verify_proof(Hash32(store.state_root()), replace(proof, nodes=tuple(nodes)))

    assert caught.value.field == "account_proof"


@given(example=_proofs(), root=st.binary(min_size=32, max_size=32).map(Hash32))
def test_proof__against_another_root__is_refused(
    example: tuple[Mapping[Address, Account], MemoryStore, AccountProof], root: Hash32
) -> None:
    _, _, proof = example

    with pytest.raises(DecodeError):
        engine.verify_proof(root, proof)


@st.composite
def _forgeries(draw: st.DrawFn, proof: AccountProof) -> AccountProof:
    """The same evidence with another claim."""
    kinds = ["address", "existence"]
    if proof.account is not None:
        kinds += ["nonce", "balance_wei", "code_hash", "storage_root"]
    if proof.storage_proofs:
        kinds += ["value", "slot"]
    kind = draw(st.sampled_from(kinds))
    if kind == "address":
        return replace(proof, address=draw(addresses))
    if kind == "existence":
        made_up = AccountState(1, Wei(1), Hash32(keccak(b"")), Hash32(keccak(b"\x80")))
        return replace(proof, account=None if proof.account is not None else made_up)
    if kind in {"value", "slot"}:
        index = draw(st.integers(0, len(proof.storage_proofs) - 1))
        old = proof.storage_proofs[index]
        entry = replace(old, value=draw(words)) if kind == "value" else replace(old, slot=draw(words))
        entries = [*proof.storage_proofs[:index], entry, *proof.storage_proofs[index + 1 :]]
        return replace(proof, storage_proofs=tuple(entries))
    assert proof.account is not None
    return replace(proof, account=_other_account(proof.account, kind, draw(words)))


def _other_account(account: AccountState, kind: str, word: int) -> AccountState:
    digest = Hash32(word.to_bytes(32, "big"))
    if kind == "nonce":
        return replace(account, nonce=word % 2**64)
    if kind == "balance_wei":
        return replace(account, balance_wei=Wei(word))
    if kind == "code_hash":
        return replace(account, code_hash=digest)
    return replace(account, storage_root=digest)
