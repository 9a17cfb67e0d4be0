"""Development accounts against the derivation, and signatures against the library."""

from __future__ import annotations

from eth_account import Account
from eth_account.messages import encode_defunct

from metis.engine import derive_private_key
from metis.node.accounts import DERIVATION_PATH, TEST_MNEMONIC, DevelopmentSigner, derive_accounts
from metis.node.config import AccountsConfig


def test_accounts__of_the_test_mnemonic__are_those_that_are_derived() -> None:
    assert AccountsConfig().mnemonic == TEST_MNEMONIC
    accounts = derive_accounts(TEST_MNEMONIC, 12)
    for index, account in enumerate(accounts):
        assert account.private_key == derive_private_key(TEST_MNEMONIC, f"{DERIVATION_PATH}{index}")
        assert Account.from_key(account.private_key).address.lower() == f"0x{account.address.hex()}"
    assert "private_key" not in repr(accounts[0])


def test_signer__of_a_message__signs_as_the_library() -> None:
    (account,) = derive_accounts(TEST_MNEMONIC, 1)
    signer = DevelopmentSigner((account,))
    expected = Account.sign_message(encode_defunct(b"hello"), account.private_key).signature
    assert signer.sign_message(account.address, b"hello") == bytes(expected)
    assert signer.has(account.address)
    assert not signer.has(bytes(20))
