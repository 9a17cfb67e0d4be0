"""Preset files: every mistake is an error that names the field."""

from __future__ import annotations

import pytest

from metis.sdk.preset_file import read_preset
from metis.types import Address, GenesisError

MINIMAL = """
name = "mine"
[chain]
chain_id = 7
fork = "Osaka"
"""

ADDRESS = "0x" + "11" * 20


def test_preset__with_only_what_is_required__has_the_defaults() -> None:
    preset = read_preset(MINIMAL)

    assert (preset.name, preset.parts) == ("mine", {})
    assert (preset.chain.chain_id, preset.chain.fork) == (7, "Osaka")
    assert (preset.chain.block_gas_limit, preset.chain.transaction_gas_limit_cap) == (60_000_000, 16_777_216)
    assert set(preset.chain.blob_schedule) == {"cancun", "prague", "osaka"}


def test_preset__parts__are_names_or_tables_with_options() -> None:
    preset = read_preset(
        MINIMAL + '[parts]\nexecutor = "sequential"\n[parts.state_store]\nname = "memory"\nkept_block_count = 9\n'
    )

    assert preset.parts["executor"].name == "sequential"
    assert (preset.parts["state_store"].name, preset.parts["state_store"].options) == (
        "memory",
        {"kept_block_count": 9},
    )


def test_preset__no_cap_on_transactions__is_said_in_words() -> None:
    assert read_preset(MINIMAL + 'transaction_gas_limit_cap = "none"\n').chain.transaction_gas_limit_cap is None


def test_preset__accounts__are_coins_or_tables() -> None:
    preset = read_preset(
        MINIMAL
        + f"[accounts]\n{ADDRESS} = 5\n"
        + f'[accounts.0x{"22" * 20}]\nnonce = 1\nbalance_wei = "0x10"\ncode = "0x6001"\n'
        + f'storage = {{ 0x01 = "0x{"ff" * 32}" }}\n'
    )

    first, second = (preset.chain.accounts[Address(bytes([byte]) * 20)] for byte in (0x11, 0x22))
    assert first.balance_wei == 5 * 10**18
    assert (second.nonce, second.balance_wei, second.code) == (1, 16, b"\x60\x01")
    assert second.storage == {1: 2**256 - 1}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("name = ", "document"),
        ("", "name"),
        ("name = 3", "name"),
        ('name = "mine"', "chain"),
        ('name = "mine"\nchain = 3', "chain"),
        ('name = "mine"\n[chain]\nfork = "Osaka"', "chain.chain_id"),
        ('name = "mine"\n[chain]\nchain_id = 7', "chain.fork"),
        (MINIMAL + "block_gas_limit = -1", "chain.block_gas_limit"),
        (MINIMAL + "block_gas_limit = 1.5", "chain.block_gas_limit"),
        (MINIMAL + "block_gas_limit = true", "chain.block_gas_limit"),
        (MINIMAL + 'block_gas_limit = "many"', "chain.block_gas_limit"),
        (MINIMAL + "block_gas_limit = 0x10000000000000000", "chain.block_gas_limit"),
        (MINIMAL + 'transaction_gas_limit_cap = "some"', "chain.transaction_gas_limit_cap"),
        (MINIMAL + "block_gas_limt = 5", "chain.block_gas_limt"),
        (MINIMAL + 'extra_data = "hello"', "chain.extra_data"),
        (MINIMAL + f'extra_data = "0x{"00" * 33}"', "chain.extra_data"),
        (MINIMAL + "[chain.blob_schedule]\nosaka = 3", "chain.blob_schedule.osaka"),
        (MINIMAL + "[chain.blob_schedule.osaka]\nmax_count = 3", "chain.blob_schedule.osaka.target_count"),
        (MINIMAL + "[parts]\nexecutor = 3", "parts.executor"),
        (MINIMAL + "[parts.executor]\nthreads = 3", "parts.executor.name"),
        (MINIMAL + '[parts]\nconsensus = "bft"', "parts.consensus"),
        (MINIMAL + "[accounts]\n0x11 = 5", "accounts.0x11"),
        (MINIMAL + "[accounts]\nme = 5", "accounts.me"),
        (MINIMAL + f"[accounts]\n{ADDRESS} = -5", f"accounts.{ADDRESS}"),
        (MINIMAL + f"[accounts.{ADDRESS}]\ncolour = 1", f"accounts.{ADDRESS}.colour"),
        (MINIMAL + f"[accounts.{ADDRESS}]\nstorage = {{ one = 1 }}", f"accounts.{ADDRESS}.storage.one"),
        (MINIMAL + "[node]\nport = 1", "node"),
    ],
)
def test_preset__a_mistake__error_names_the_field(text: str, field: str) -> None:
    with pytest.raises(GenesisError) as caught:
        read_preset(text)

    assert caught.value.field == field
