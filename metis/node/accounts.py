"""Development accounts: keys of a mnemonic, and signing with them. Source: BIP-32, BIP-39, BIP-44, EIP-191."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metis.engine import address_of, derive_private_key, keccak256, sign_hash, sign_transaction
from metis.types import Address

if TYPE_CHECKING:
    from metis.types import UnsignedTransaction

__all__ = ["DERIVATION_PATH", "TEST_MNEMONIC", "Account", "DevelopmentSigner", "derive_accounts"]

TEST_MNEMONIC = "test test test test test test test test test test test junk"
"""What anvil, hardhat and ganache derive their accounts from."""

# Its first keys, which everyone knows: deriving them takes longer than the rest of a node's start.
_TEST_KEYS = (
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
)

DERIVATION_PATH = "m/44'/60'/0'/0/"


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """An address and its key."""

    address: Address
    private_key: bytes


def derive_accounts(mnemonic: str, count: int, path: str = DERIVATION_PATH) -> tuple[Account, ...]:
    """
    Derive the first ``count`` accounts of a mnemonic, as every wallet does.

    Raises
    ------
    DecodeError : the mnemonic is not one, or the path.
    """
    keys = [_key(mnemonic, path, index) for index in range(count)]
    return tuple(Account(Address(address_of(key)), key) for key in keys)


def _key(mnemonic: str, path: str, index: int) -> bytes:
    if (mnemonic, path) == (TEST_MNEMONIC, DERIVATION_PATH) and index < len(_TEST_KEYS):
        return bytes.fromhex(_TEST_KEYS[index])
    return derive_private_key(mnemonic, f"{path}{index}")


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
        return self.sign_hash(address, keccak256(b"\x19Ethereum Signed Message:\n%d%b" % (len(message), message)))

    def sign_hash(self, address: bytes, digest: bytes) -> bytes:
        """Sign 32 bytes as they are; returns r, s and v (27 or 28), 65 bytes."""
        y_parity, r, s = sign_hash(digest, self._keys[Address(address)])
        return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + y_parity])
