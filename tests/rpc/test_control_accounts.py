"""Changed accounts and sending without a key; anvil is asked the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rpc.control_world import (
    COIN,
    FIRST,
    OFF,
    ON,
    SECOND,
    STRANGER,
    balance,
    deploy,
    height,
    number,
    selector,
    send,
    token_code,
    words,
)
from tests.rpc.running_node import Client

CODE = "0x600160005260206000f3"
SLOT = "0x" + "00" * 31 + "07"
VALUE = "0x" + "00" * 31 + "2a"


@pytest.mark.parametrize("form", ["0x2a", 42, "42", "0x002a"])
@pytest.mark.parametrize("method", ["anvil_setBalance", "hardhat_setBalance", "tenderly_setBalance"])
def test_set_balance__in_any_form_of_number__is_the_balance(either: Client, method: str, form: Any) -> None:
    assert either.ask(method, STRANGER, form) is None
    assert balance(either) == 42
    assert height(either) == 0


@pytest.mark.parametrize("method", ["anvil_addBalance", "hardhat_addBalance", "tenderly_addBalance"])
def test_add_balance__to_an_account__is_added(either: Client, method: str) -> None:
    before = balance(either, SECOND)
    assert either.ask(method, SECOND, "0x5") is None
    assert balance(either, SECOND) == before + 5


@pytest.mark.parametrize("method", ["anvil_setNonce", "hardhat_setNonce", "evm_setAccountNonce"])
def test_set_nonce__of_an_account__is_what_its_next_transaction_has(either: Client, method: str) -> None:
    assert either.ask(method, FIRST, "0x9") is None
    assert number(either, "eth_getTransactionCount", FIRST, "pending") == 9
    sent = either.ask("eth_getTransactionByHash", send(either)["transactionHash"])
    assert sent["nonce"] == "0x9"


@pytest.mark.parametrize("method", ["anvil_setCode", "hardhat_setCode"])
@pytest.mark.parametrize("form", [CODE, CODE[2:]])
def test_set_code__of_an_account__runs(either: Client, method: str, form: str) -> None:
    assert either.ask(method, STRANGER, form) is None
    assert either.ask("eth_getCode", STRANGER, "latest") == CODE
    assert int(either.ask("eth_call", {"to": STRANGER}, "latest"), 16) == 1
    assert either.ask(method, STRANGER, "0x") is None
    assert either.ask("eth_getCode", STRANGER, "latest") == "0x"


@pytest.mark.parametrize("method", ["anvil_setStorageAt", "hardhat_setStorageAt"])
@pytest.mark.parametrize("slot", ["0x7", 7, SLOT])
def test_set_storage__of_an_account__is_stored(either: Client, method: str, slot: Any) -> None:
    assert either.ask(method, STRANGER, slot, VALUE) is True
    assert either.ask("eth_getStorageAt", STRANGER, "0x7", "latest") == VALUE


def test_patches__of_the_newest_state__survive_the_next_block(either: Client) -> None:
    either.ask("anvil_setBalance", STRANGER, "0x64")
    either.ask("anvil_mine", 2)
    assert balance(either) == 100


@pytest.mark.parametrize("prefix", ["anvil", "hardhat"])
def test_impersonation__of_an_account__sends_without_its_key_until_it_is_stopped(either: Client, prefix: str) -> None:
    either.ask("anvil_setBalance", STRANGER, hex(COIN))
    refused = either.answer("eth_sendTransaction", {"from": STRANGER, "to": SECOND, "value": "0x1"})
    assert "error" in refused
    assert either.ask(f"{prefix}_impersonateAccount", STRANGER) is None
    receipt = send(either, STRANGER, to=SECOND)
    assert (receipt["from"], receipt["status"]) == (STRANGER, "0x1")
    assert number(either, "eth_getTransactionCount", STRANGER, "latest") == 1
    assert either.ask(f"{prefix}_stopImpersonatingAccount", STRANGER) is None
    assert "error" in either.answer("eth_sendTransaction", {"from": STRANGER, "to": SECOND, "value": "0x1"})


def test_impersonation__of_a_contract__sends_although_it_has_code(either: Client) -> None:
    contract = "0x" + "c0" * 20
    either.ask("anvil_setCode", contract, CODE)
    either.ask("anvil_setBalance", contract, hex(COIN))
    either.ask("anvil_impersonateAccount", contract)
    assert send(either, contract, to=SECOND)["status"] == "0x1"
    either.ask("anvil_stopImpersonatingAccount", contract)


def test_equal_transactions__of_two_impersonated_accounts__have_hashes_of_their_own(either: Client) -> None:
    hashes = set()
    for account in ("0x" + "a1" * 20, "0x" + "a2" * 20):
        either.ask("anvil_setBalance", account, hex(COIN))
        either.ask("anvil_impersonateAccount", account)
        fields = {"gas": "0x5208", "maxFeePerGas": hex(10**11), "maxPriorityFeePerGas": "0x1", "nonce": "0x0"}
        receipt = send(either, account, to=SECOND, **fields)
        assert receipt["from"] == account
        hashes.add(receipt["transactionHash"])
    assert len(hashes) == 2


@pytest.mark.parametrize("prefix", ["anvil", "hardhat"])
def test_impersonation__of_everyone__needs_no_naming(either: Client, prefix: str) -> None:
    either.ask("anvil_setBalance", STRANGER, hex(COIN))
    assert either.ask(f"{prefix}_autoImpersonateAccount", ON) is None
    assert send(either, STRANGER, to=SECOND)["status"] == "0x1"
    assert either.ask(f"{prefix}_autoImpersonateAccount", OFF) is None
    assert "error" in either.answer("eth_sendTransaction", {"from": STRANGER, "to": SECOND, "value": "0x1"})


def test_unsigned_transaction__of_anybody__is_mined(either: Client) -> None:
    either.ask("anvil_setBalance", STRANGER, hex(COIN))
    either.ask("anvil_setAutomine", OFF)
    sent = either.ask("eth_sendUnsignedTransaction", {"from": STRANGER, "to": SECOND, "value": "0x7", "nonce": "0x0"})
    either.ask("anvil_mine")
    assert either.ask("eth_getTransactionReceipt", sent)["from"] == STRANGER


@pytest.mark.parametrize("method", ["anvil_dealERC20", "anvil_setERC20Balance", "hardhat_dealERC20"])
def test_deal__of_a_token__is_the_balance(either: Client, method: str) -> None:
    token = deploy(either, token_code() + words(1_000))
    assert either.ask(method, STRANGER, token, hex(777)) is None
    asked = {"to": token, "data": selector("balanceOf(address)") + words(STRANGER)}
    assert int(either.ask("eth_call", asked, "latest"), 16) == 777
    assert int(either.ask("eth_call", {"to": token, "data": selector("totalSupply()")}, "latest"), 16) == 1_000


def test_allowance__of_a_token__is_what_the_spender_may_take(either: Client) -> None:
    token = deploy(either, token_code() + words(1_000))
    assert either.ask("anvil_setERC20Allowance", FIRST, SECOND, token, hex(55)) is None
    asked = {"to": token, "data": selector("allowance(address,address)") + words(FIRST, SECOND)}
    assert int(either.ask("eth_call", asked, "latest"), 16) == 55


def test_deal__of_what_is_no_token__is_refused_and_changes_nothing(either: Client) -> None:
    answer = either.answer("anvil_dealERC20", FIRST, STRANGER, "0x1")
    assert "no slot found" in answer["error"]["message"]


def test_transaction__by_sender_and_nonce__is_found_mined_and_waiting(either: Client) -> None:
    mined = send(either)["transactionHash"]
    assert either.ask("eth_getTransactionBySenderAndNonce", FIRST, "0x0")["hash"] == mined
    assert either.ask("eth_getTransactionBySenderAndNonce", FIRST, "0x1") is None
