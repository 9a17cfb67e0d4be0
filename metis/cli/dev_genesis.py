"""The chain of a genesis file, with the development accounts on top."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from metis.cli.dev_chain import DevelopmentChain, client_version, funded_keys
from metis.engine import ChainSpec, fork_names
from metis.node.accounts import DevelopmentSigner
from metis.node.config import NodeConfig
from metis.node.errors import ConfigError
from metis.node.genesis_file import genesis_accounts
from metis.sdk.chain_constants import ChainConstants
from metis.sdk.system_contracts import system_contracts
from metis.types import Gas, GenesisError

__all__ = ["open_genesis"]


def open_genesis(settings: NodeConfig) -> DevelopmentChain:
    """
    Read the genesis file of the settings; chain id and gas limit of the settings go before its own.

    Accounts of the file keep what it gives them, development accounts too.

    Raises
    ------
    ConfigError : the file cannot be read, or does not fit the other settings. GenesisError : it describes no chain.
    """
    if settings.hardfork:
        raise ConfigError("hardfork", "cannot be set with genesis_path: the file says which forks there are")
    document = _read(settings.genesis_path)
    config = document.get("config")
    if not isinstance(config, dict):
        raise GenesisError("config", "is missing" if config is None else "must be an object")
    if settings.chain_id:
        config["chainId"] = settings.chain_id
    if settings.mining.gas_limit:
        document["gasLimit"] = hex(settings.mining.gas_limit)
    keys, funded = funded_keys(settings)
    spec = ChainSpec.from_genesis(json.dumps(document).encode())
    fork = spec.fork_at(0, _number(document, "timestamp"))
    forks = fork_names()
    # From Prague on a block cannot be built without them (EIP-7002, EIP-7251), so a file that has none means these.
    needed = system_contracts(fork) if forks.index(fork) >= forks.index("Prague") else {}
    accounts = {**needed, **funded, **genesis_accounts(document)}
    return DevelopmentChain(
        name=Path(settings.genesis_path).name,
        constants=ChainConstants(
            chain_id=spec.chain_id,
            fork=fork,
            block_gas_limit=Gas(_number(document, "gasLimit")),
        ),
        genesis=document,
        accounts=accounts,
        keys=keys,
        signer=DevelopmentSigner(keys),
        client_version=client_version(),
    )


def _read(path: str) -> dict[str, Any]:
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as problem:
        raise ConfigError("genesis_path", f"cannot be read: {problem}") from problem
    except ValueError as problem:
        raise GenesisError("document", f"is not JSON: {problem}") from problem
    if not isinstance(document, dict):
        raise GenesisError("document", "must be an object")
    return document


def _number(document: dict[str, Any], field: str) -> int:
    value = document.get(field, 0)
    try:
        return value if isinstance(value, int) else int(value, 0)
    except (TypeError, ValueError) as problem:
        raise GenesisError(field, f"is no number: {value!r}") from problem
