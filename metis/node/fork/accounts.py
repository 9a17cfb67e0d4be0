"""What a fork sets on top of the forked state: funded development accounts, and contracts that the rules need."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from metis.node.fork.upstream import AccountKey, Upstream
from metis.types import Account, Address, Wei

__all__ = ["accounts_on_top"]


async def accounts_on_top(
    upstream: Upstream, accounts: Mapping[Address, Account], funded: Collection[Address]
) -> dict[Address, Account]:
    """
    Fit the accounts of a chain's genesis to a fork.

    Those of ``funded`` get their balance and keep their nonce; code of theirs, such as a delegation that a
    stranger signed with the well-known key (EIP-7702), is taken away. Other accounts, the system contracts
    of the rules, are set where upstream has none.

    Raises
    ------
    UpstreamError : the accounts as they are upstream cannot be had.
    """
    addresses = list(accounts)
    found = await upstream.fetch([AccountKey(address) for address in addresses])
    chosen: dict[Address, Account] = {}
    for address, there in zip(addresses, found, strict=True):
        if address in funded:
            chosen[address] = Account(nonce=there.nonce, balance_wei=accounts[address].balance_wei)
        elif accounts[address].code and not there.code:
            chosen[address] = replace(accounts[address], balance_wei=Wei(there.balance_wei))
    return chosen
