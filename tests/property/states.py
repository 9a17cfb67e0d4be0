"""World states as Hypothesis values."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from metis.engine import MemoryStore
from metis.sdk import MemoryStateStore
from metis.types import Account, Address, Wei
from tests.property.encodings import addresses, words

__all__ = ["accounts", "open_store", "states"]

# Mostly few different ones, so that tries share paths, and sometimes any.
storages = st.dictionaries(words, st.one_of(st.integers(0, 3), words), max_size=12)
accounts = st.builds(
    Account,
    nonce=st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1)),
    balance_wei=words.map(Wei),
    code=st.binary(max_size=40),
    storage=storages,
)
states = st.dictionaries(addresses, accounts, max_size=20)


def open_store(alloc: Mapping[Address, Account], kept_block_count: int = 128) -> MemoryStore:
    """A fresh store with these accounts."""
    return MemoryStateStore(kept_block_count).open(alloc)
