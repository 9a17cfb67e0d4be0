"""Development accounts: keys of a mnemonic, and signing with them. Source: BIP-32, BIP-39, BIP-44, EIP-191."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metis.engine import keccak256
from metis.node.native import address_of, derive_private_key, sign_hash, sign_transaction
from metis.types import Address, UnsignedTransaction

__all__ = ["DERIVATION_PATH", "Account", "DevelopmentSigner", "derive_accounts"]

DERIVATION_PATH = "m/44'/60'/0'/0/"


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """An address and its key."""

    address: Address
    private_key: bytes


def derive_accounts(mnemonic: str, count: int) -> tuple[Account, ...]:
    """
    Derive the first ``count`` accounts of a mnemonic, as every wallet does.

    Raises
    ------
    DecodeError : the mnemonic is not one.
    """
    keys = [derive_private_key(mnemonic, f"{DERIVATION_PATH}{index}") for index in range(count)]
    return tuple(Account(Address(address_of(key)), key) for key in keys)


class DevelopmentSigner:
    """Signs for development accounts."""

    def __init__(self, accounts: Sequence[Account]) -> None:
        self._keys = {account.address: account.private_key for account in accounts}

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Accounts, in the order of derivation."""
        return tuple(self._keys)

    def has(self, address: bytes) -> bool:
        """Whether there is a key for the account."""
        return Address(address) in self._keys

    def sign_transaction(self, transaction: UnsignedTransaction) -> bytes:
        """Sign as ``transaction.sender``; returns EIP-2718 bytes. KeyError where there is no key."""
        return sign_transaction(transaction, self._keys[transaction.sender])

    def sign_message(self, address: bytes, message: bytes) -> bytes:
        """Sign a message (EIP-191, version 0x45); returns r, s and v (27 or 28), 65 bytes."""
        digest = keccak256(b"\x19Ethereum Signed Message:\n%d%b" % (len(message), message))
        y_parity, r, s = sign_hash(digest, self._keys[Address(address)])
        return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + y_parity])
