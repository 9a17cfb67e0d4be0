"""Genesis documents: geth's format, and what the engine reads back from them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account as Signer

from metis import engine
from metis.sdk import CollectedFees, EthereumFees, Network
from metis.sdk.chain_constants import ChainConstants
from metis.sdk.genesis import genesis_document
from metis.sdk.system_contracts import SYSTEM_CONTRACTS
from metis.types import Account, Address, Gas, GenesisError, Wei
from tests.story import DEVELOPMENT_MNEMONIC

# Chain ids of live networks that ours must not be: Ethereum, its test networks, Metis' networks.
LIVE_CHAIN_IDS = {1, 10, 17_000, 560_048, 11_155_111, 1_088, 59_902, 133_717, 133_718, 52_924}


def _document(**changes: Any) -> dict[str, Any]:
    return genesis_document(replace(ChainConstants(chain_id=7), **changes), EthereumFees())


@pytest.mark.parametrize("name", ["ethereum", "hyperion"])
def test_preset__accounts__are_those_of_the_test_mnemonic(name: str) -> None:
    Signer.enable_unaudited_hdwallet_features()
    signers = [
        Signer.from_mnemonic(DEVELOPMENT_MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}") for index in range(10)
    ]

    accounts = Network.from_preset(name).chain.accounts

    assert list(accounts) == [bytes.fromhex(signer.address[2:]) for signer in signers]
    assert all(account == Account(balance_wei=Wei(10_000 * 10**18)) for account in accounts.values())


@pytest.mark.parametrize("name", ["ethereum", "hyperion"])
def test_preset__chain_id__is_of_no_live_network(name: str) -> None:
    assert Network.from_preset(name).chain.chain_id not in LIVE_CHAIN_IDS


def test_genesis__config__has_every_fork_from_the_start() -> None:
    config = _document()["config"]

    activations = {key: value for key, value in config.items() if key.endswith(("Block", "Time"))}
    assert set(activations.values()) == {0}
    assert {"homesteadBlock", "londonBlock", "shanghaiTime", "cancunTime", "pragueTime", "osakaTime"} <= set(
        activations
    )


def test_genesis__of_an_older_fork__has_nothing_of_later_ones() -> None:
    document = _document(fork="Shanghai")

    assert "cancunTime" not in document["config"]
    assert document["config"]["blobSchedule"] == {}
    assert "excessBlobGas" not in document
    assert document["alloc"] == {}


@pytest.mark.parametrize("fork", engine.fork_names())
def test_genesis__of_every_fork_since_paris__the_engine_reads_that_fork(fork: str) -> None:
    names = engine.fork_names()
    if names.index(fork) < names.index("Paris"):
        with pytest.raises(GenesisError) as caught:
            _document(fork=fork)
        assert caught.value.field == "chain.fork"
        return

    spec = engine.ChainSpec.from_genesis(json.dumps(_document(fork=fork)).encode())

    assert (spec.chain_id, spec.fork_at(0, 0), spec.fork_at(10**9, 2**40)) == (7, fork, fork)


def test_genesis__an_unknown_fork__error_lists_the_known_ones() -> None:
    with pytest.raises(GenesisError, match="Osaka") as caught:
        _document(fork="Atlantis")

    assert caught.value.field == "chain.fork"


def test_genesis__metis_rules__are_written_where_the_engine_reads_them() -> None:
    constants = ChainConstants(chain_id=7, transaction_gas_limit_cap=Gas(30_000_000))
    recipient = Address(bytes.fromhex("42" * 20))

    document = genesis_document(constants, CollectedFees(recipient))

    assert document["config"]["metis"] == {"transactionGasLimitCap": 30_000_000, "baseFeeRecipient": "0x" + "42" * 20}


def test_genesis__no_cap__is_null() -> None:
    assert _document(transaction_gas_limit_cap=None)["config"]["metis"] == {"transactionGasLimitCap": None}


def test_genesis__accounts__are_written_in_full() -> None:
    address = Address(bytes([0x11]) * 20)
    account = Account(nonce=3, balance_wei=Wei(255), code=b"\x60\x01", storage={1: 2, 5: 0})

    written = _document(accounts={address: account})["alloc"]["0x" + "11" * 20]

    assert written == {
        "balance": "0xff",
        "nonce": "0x3",
        "code": "0x6001",
        "storage": {f"0x{1:064x}": f"0x{2:064x}"},
    }


def test_genesis__an_account_on_a_system_contract__is_refused() -> None:
    address = SYSTEM_CONTRACTS[0].address

    with pytest.raises(GenesisError) as caught:
        _document(accounts={address: Account(balance_wei=Wei(1))})

    assert caught.value.field == f"accounts.0x{address.hex()}"
