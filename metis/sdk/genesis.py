"""
From chain constants to a genesis document.

The document has the format that geth reads and everyone else follows, so a Metis chain's genesis
can be given to other clients. What Ethereum's format cannot say stands under ``config.metis``:
``transactionGasLimitCap`` (null: no cap), ``baseFeeRecipient`` and ``inference``; a client that does not know the
key runs Ethereum's own rules instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metis.engine import fork_names
from metis.interfaces import FeePolicy
from metis.sdk.chain_constants import ChainConstants
from metis.sdk.inference import inference_accounts, inference_config
from metis.sdk.system_contracts import system_contracts
from metis.types import Account, Address, GenesisError

__all__ = ["genesis_accounts", "genesis_document"]

# The forks that begin at a block number, and what their activation is called. Later forks begin at
# a time and are called after themselves: "shanghaiTime".
_BLOCK_KEYS: Mapping[str, tuple[str, ...]] = {
    "Frontier": (),
    "Homestead": ("homesteadBlock",),
    "TangerineWhistle": ("eip150Block",),
    "SpuriousDragon": ("eip155Block", "eip158Block"),
    "Byzantium": ("byzantiumBlock",),
    "Constantinople": ("constantinopleBlock",),
    "Petersburg": ("petersburgBlock",),
    "Istanbul": ("istanbulBlock", "muirGlacierBlock"),
    "Berlin": ("berlinBlock",),
    "London": ("londonBlock", "arrowGlacierBlock", "grayGlacierBlock"),
    "Paris": ("mergeNetsplitBlock",),
}


def genesis_accounts(constants: ChainConstants) -> dict[Address, Account]:
    """
    Everything that exists at genesis: the fork's system contracts, those of inference, and the chain's own accounts.

    Raises
    ------
    GenesisError : the fork is unknown, or an account takes a system contract's address.
    """
    _active_forks(constants.fork)
    accounts = system_contracts(constants.fork)
    if constants.inference is not None:
        accounts |= inference_accounts(constants.inference)
    for address, account in constants.accounts.items():
        if address in accounts:
            raise GenesisError(
                f"accounts.0x{address.hex()}", f"is a system contract of {constants.fork} or of inference"
            )
        accounts[address] = account
    return accounts


def genesis_document(constants: ChainConstants, fee_policy: FeePolicy) -> dict[str, Any]:
    """
    Write the genesis document of a chain, every fork up to ``constants.fork`` active from block 0.

    Returns
    -------
    The geth-format document: numbers as "0x" strings except in ``config``, ready for JSON.

    Raises
    ------
    GenesisError : as for :func:`genesis_accounts`.
    """
    forks = _active_forks(constants.fork)
    header: dict[str, Any] = {
        "nonce": "0x0",
        "timestamp": hex(constants.genesis_timestamp_s),
        "extraData": _data(constants.extra_data),
        "gasLimit": hex(constants.block_gas_limit),
        "difficulty": "0x0",
        "mixHash": _data(bytes(32)),
        "coinbase": _data(bytes(20)),
        "baseFeePerGas": hex(constants.initial_base_fee_wei),
    }
    if "Cancun" in forks:
        header |= {"excessBlobGas": "0x0", "blobGasUsed": "0x0"}
    accounts = genesis_accounts(constants)
    alloc = {_data(address): _account(account) for address, account in sorted(accounts.items())}
    return {"config": _config(constants, fee_policy, forks), **header, "alloc": alloc}


def _config(constants: ChainConstants, fee_policy: FeePolicy, forks: tuple[str, ...]) -> dict[str, Any]:
    config: dict[str, Any] = {"chainId": constants.chain_id}
    for fork in forks:
        keys = _BLOCK_KEYS.get(fork, (f"{fork.lower()}Time",))
        config |= dict.fromkeys(keys, 0)
    config |= {"terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": True}
    active = {fork.lower() for fork in forks}
    config["blobSchedule"] = {
        fork: {
            "target": limits.target_count,
            "max": limits.max_count,
            "baseFeeUpdateFraction": limits.base_fee_update_fraction,
        }
        for fork, limits in constants.blob_schedule.items()
        if fork in active
    }
    metis: dict[str, Any] = {"transactionGasLimitCap": constants.transaction_gas_limit_cap}
    if fee_policy.base_fee_recipient is not None:
        metis["baseFeeRecipient"] = _data(fee_policy.base_fee_recipient)
    if constants.inference is not None:
        metis["inference"] = inference_config(constants.inference)
    config["metis"] = metis
    return config


def _active_forks(newest: str) -> tuple[str, ...]:
    forks = fork_names()
    if newest not in forks:
        raise GenesisError("chain.fork", f"there is no fork {newest!r}; known: {', '.join(forks)}")
    if forks.index(newest) < forks.index("Paris"):
        raise GenesisError("chain.fork", f"{newest} needs proof of work; a network starts with Paris or later")
    return forks[: forks.index(newest) + 1]


def _account(account: Account) -> dict[str, Any]:
    fields: dict[str, Any] = {"balance": hex(account.balance_wei)}
    if account.nonce:
        fields["nonce"] = hex(account.nonce)
    if account.code:
        fields["code"] = _data(account.code)
    if account.storage:
        fields["storage"] = {_word(slot): _word(value) for slot, value in sorted(account.storage.items()) if value}
    return fields


def _data(data: bytes) -> str:
    return f"0x{data.hex()}"


def _word(value: int) -> str:
    return _data(value.to_bytes(32, "big"))
