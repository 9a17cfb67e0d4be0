"""
Stores, accounts and proofs.

:class:`MemoryStore` and :class:`MetisStore` hold one chain's state: the newest block's, and that of the
blocks kept before it. The first is gone with the process; the second can have a folder. Reads and commits
may come from any thread; one block is committed at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from metis.engine import _native
from metis.types import Address, Hash32, Wei

__all__ = [
    "AccountProof",
    "AccountState",
    "MemoryStore",
    "MetisStore",
    "MultiProof",
    "StorageProof",
    "Store",
    "account_state",
    "merge_proofs",
    "prove",
    "verify_multi_proof",
    "verify_proof",
]

MemoryStore = _native.MemoryStore
MetisStore = _native.MetisStore

Store: TypeAlias = MemoryStore | MetisStore
"""A store of the engine's, whichever keeps the state."""


@dataclass(frozen=True, slots=True)
class AccountState:
    """
    An account as the state trie commits to it (Yellow Paper §4.1).

    Attributes
    ----------
    nonce : transactions sent, or contracts created, by the account.
    balance_wei : native token.
    code_hash : Keccak-256 of the code.
    storage_root : root of the account's storage trie.
    """

    nonce: int
    balance_wei: Wei
    code_hash: Hash32
    storage_root: Hash32


@dataclass(frozen=True, slots=True)
class StorageProof:
    """One slot's value, and the RLP nodes from the storage root down to it or to its absence."""

    slot: int
    value: int
    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AccountProof:
    """
    Evidence of what a state root says about one account (EIP-1186).

    Attributes
    ----------
    account : the account, or None where it does not exist; then ``nodes`` prove the absence.
    nodes : RLP nodes from the state root down to the account.
    storage_proofs : one per slot asked for, in that order.
    """

    address: Address
    account: AccountState | None
    nodes: tuple[bytes, ...]
    storage_proofs: tuple[StorageProof, ...]


@dataclass(frozen=True, slots=True)
class MultiProof:
    """
    Evidence of what a state root says about several accounts and slots; each node is there once.

    Attributes
    ----------
    claims : proofs without their nodes.
    nodes : RLP nodes, in no order that matters.
    """

    claims: tuple[AccountProof, ...]
    nodes: tuple[bytes, ...]


def account_state(store: Store, address: Address, block_number: int | None = None) -> AccountState | None:
    """
    Read an account.

    Parameters
    ----------
    address : 20 bytes.
    block_number : after which block; None means the newest.

    Returns
    -------
    The account, or None where it does not exist.

    Raises
    ------
    StateUnavailable : the block is outside the kept window.
    """
    return _account_state(store.account(address, block_number))


def prove(store: Store, address: Address, slots: Sequence[int] = (), block_number: int | None = None) -> AccountProof:
    """
    Prove an account, and slots of its storage, against the state root of a block.

    Parameters
    ----------
    slots : storage slots, each in [0, 2**256); may be slots that were never written.
    block_number : the block whose root the proof is for; None means the newest.

    Raises
    ------
    StateUnavailable : the block is outside the kept window.

    Cost: proportional to the depth of the tries; keeps the interpreter lock.
    Source: EIP-1186.
    """
    fields = store.proof(address, slots, block_number)
    return AccountProof(
        address=address,
        account=_account_state(fields["account"]),
        nodes=tuple(fields["account_proof"]),
        storage_proofs=tuple(
            StorageProof(slot, value, tuple(nodes)) for slot, value, nodes in fields["storage_proofs"]
        ),
    )


def verify_proof(state_root: Hash32, proof: AccountProof) -> None:
    """
    Check a proof against a state root. Needs no store: this is what a light client runs.

    Raises
    ------
    DecodeError : the first part of the proof that does not lead from the root to what it claims.
    """
    fields = {
        "account": _account_values(proof.account),
        "account_proof": list(proof.nodes),
        "storage_proofs": [(entry.slot, entry.value, list(entry.nodes)) for entry in proof.storage_proofs],
    }
    _native.verify_proof(state_root, proof.address, fields)


def merge_proofs(proofs: Sequence[AccountProof]) -> MultiProof:
    """Put proofs of one state together, so that nodes which they share are there once."""
    nodes: dict[bytes, None] = {}
    claims = []
    for proof in proofs:
        nodes.update(dict.fromkeys(proof.nodes))
        for entry in proof.storage_proofs:
            nodes.update(dict.fromkeys(entry.nodes))
        slots = tuple(replace(entry, nodes=()) for entry in proof.storage_proofs)
        claims.append(replace(proof, nodes=(), storage_proofs=slots))
    return MultiProof(tuple(claims), tuple(nodes))


def verify_multi_proof(state_root: Hash32, proof: MultiProof) -> None:
    """
    Check a proof of several accounts and slots against a state root.

    Raises
    ------
    DecodeError : a claim that does not hold, or a node that is missing, not needed, or there twice.
    """
    claims = [
        (claim.address, _account_values(claim.account), [(entry.slot, entry.value) for entry in claim.storage_proofs])
        for claim in proof.claims
    ]
    _native.verify_multi_proof(state_root, claims, list(proof.nodes))


def _account_values(account: AccountState | None) -> tuple[int, int, bytes, bytes] | None:
    if account is None:
        return None
    return account.nonce, account.balance_wei, account.code_hash, account.storage_root


def _account_state(values: tuple[int, int, bytes, bytes] | None) -> AccountState | None:
    if values is None:
        return None
    nonce, balance_wei, code_hash, storage_root = values
    return AccountState(nonce, Wei(balance_wei), Hash32(code_hash), Hash32(storage_root))
