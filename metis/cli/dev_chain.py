"""From a preset and settings to the chain of ``metis dev``: constants, development accounts, genesis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from metis.engine import build_info
from metis.node.accounts import TEST_MNEMONIC, DevelopmentSigner, derive_accounts
from metis.node.accounts import Account as KeyedAccount
from metis.node.config import NodeConfig
from metis.sdk import Network
from metis.sdk.chain_constants import ChainConstants
from metis.sdk.genesis import genesis_accounts, genesis_document
from metis.types import Account, Address, Gas
from metis.types.units import Wei

__all__ = ["DevelopmentChain", "open_chain"]

WEI_PER_COIN = 10**18


@dataclass(frozen=True, slots=True)
class DevelopmentChain:
    """A chain, ready for a node, and the keys that come with it."""

    name: str
    constants: ChainConstants
    genesis: dict[str, Any]
    accounts: dict[Address, Account]
    keys: tuple[KeyedAccount, ...]
    signer: DevelopmentSigner
    client_version: str


def open_chain(settings: NodeConfig) -> DevelopmentChain:
    """
    Compose the preset's chain with the development accounts of the settings.

    Raises
    ------
    CompositionError : there is no such preset. GenesisError : the constants describe no chain.
    DecodeError : the mnemonic is not one.
    """
    network = Network.from_preset(settings.preset)
    keys = derive_accounts(settings.accounts.mnemonic, settings.accounts.count, settings.accounts.derivation_path)
    funded = {key.address: Account(balance_wei=Wei(settings.accounts.balance * WEI_PER_COIN)) for key in keys}
    constants = replace(
        network.chain,
        chain_id=settings.chain_id or network.chain.chain_id,
        # Blocks may change it by 1/1024 only, so that a large one has to be there from the start.
        block_gas_limit=Gas(settings.mining.gas_limit or network.chain.block_gas_limit),
        # The preset's own accounts are those of the well-known mnemonic; with another one they would be strangers.
        accounts={**_others(network.chain.accounts), **funded},
    )
    return DevelopmentChain(
        name=network.name,
        constants=constants,
        genesis=genesis_document(constants, network.fee_policy),
        accounts=genesis_accounts(constants),
        keys=keys,
        signer=DevelopmentSigner(keys),
        # The engine's version is the distribution's, and known without reading installed metadata.
        client_version=f"metis/{build_info()['version']}/python",
    )


def _others(accounts: Any) -> dict[Address, Account]:
    """Genesis accounts of a preset that do not belong to the well-known mnemonic."""
    known = {key.address for key in derive_accounts(TEST_MNEMONIC, 10)}
    return {address: account for address, account in accounts.items() if address not in known}
