"""From a preset and settings to the chain of ``metis dev``: constants, development accounts, genesis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from metis.engine import build_info, fork_names
from metis.node.accounts import TEST_MNEMONIC, DevelopmentSigner, derive_accounts
from metis.node.accounts import Account as KeyedAccount
from metis.node.config import NodeConfig
from metis.node.errors import ConfigError
from metis.sdk import Network
from metis.sdk.chain_constants import ChainConstants
from metis.sdk.genesis import genesis_accounts, genesis_document
from metis.types import Account, Address, Gas
from metis.types.units import Wei

__all__ = ["DevelopmentChain", "client_version", "fork_named", "funded_keys", "open_chain"]

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
    ConfigError : there is no such fork, or the genesis file cannot be read.
    DecodeError : the mnemonic is not one.
    """
    if settings.genesis_path:
        from metis.cli.dev_genesis import open_genesis

        return open_genesis(settings)
    network = Network.from_preset(settings.preset)
    keys, funded = funded_keys(settings)
    constants = replace(
        network.chain,
        chain_id=settings.chain_id or network.chain.chain_id,
        fork=fork_named(settings.hardfork) if settings.hardfork else network.chain.fork,
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
        client_version=client_version(),
    )


def client_version() -> str:
    """Name and version; the engine's is the distribution's, and known without reading installed metadata."""
    return f"metis/{build_info()['version']}/python"


def funded_keys(settings: NodeConfig) -> tuple[tuple[KeyedAccount, ...], dict[Address, Account]]:
    """Derive the development accounts, and what they have at genesis."""
    keys = derive_accounts(settings.accounts.mnemonic, settings.accounts.count, settings.accounts.derivation_path)
    return keys, {key.address: Account(balance_wei=Wei(settings.accounts.balance * WEI_PER_COIN)) for key in keys}


def fork_named(name: str) -> str:
    """
    Find a fork by its name in any case; "merge" and "latest" are anvil's names of Paris and of the newest.

    Raises
    ------
    ConfigError : there is no such fork, or it needs proof of work.
    """
    forks = fork_names()
    wanted = {"merge": "paris", "latest": forks[-1].lower()}.get(name.lower(), name.lower())
    usable = forks[forks.index("Paris") :]
    found = next((fork for fork in usable if fork.lower() == wanted), None)
    if found is None:
        problem = f"is no fork {name!r} without proof of work; there are {', '.join(fork.lower() for fork in usable)}"
        raise ConfigError("hardfork", problem)
    return found


def _others(accounts: Any) -> dict[Address, Account]:
    """Genesis accounts of a preset that do not belong to the well-known mnemonic."""
    known = {key.address for key in derive_accounts(TEST_MNEMONIC, 10)}
    return {address: account for address, account in accounts.items() if address not in known}
