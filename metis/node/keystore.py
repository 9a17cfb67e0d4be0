"""
Private keys in files, encrypted with a password: one file an account, as geth and every wallet keep them.

In: a folder, passwords, keys. Out: files of mode 0600, addresses, signatures. Invariant: a key never leaves
unencrypted but to whoever gave the password; a file is there whole or not at all.
Source: Web3 Secret Storage, version 3.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import orjson

from metis.types import Address, MetisError

__all__ = ["Keystore", "KeystoreError", "StoredAccount", "private_key_of_text"]

FILE_SIZE_BYTES_MAX = 64 * 1024
_KEY = re.compile("(?:0x)?[0-9a-fA-F]{64}")


class KeystoreError(MetisError):
    """
    A key file or a key is not what it should be.

    Attributes
    ----------
    subject : the file, the address, or "private key". problem : what is wrong with it.
    """

    slug = "keystore"

    def __init__(self, subject: str, problem: str) -> None:
        super().__init__(f"{subject}: {problem}")
        self.subject = subject
        self.problem = problem


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account and its file."""

    address: Address
    path: Path


class Keystore:
    """A folder of key files; made where it is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def accounts(self) -> list[StoredAccount]:
        """Every account in the folder, the oldest file first; what is no key file is passed over."""
        if not self.folder.is_dir():
            return []
        found = []
        for path in sorted(self.folder.iterdir()):
            try:
                found.append(StoredAccount(_address_in(_document(path), path), path))
            except (KeystoreError, OSError):
                continue
        return found

    def add(self, private_key: bytes, password: str) -> StoredAccount:
        """
        Encrypt a key into a new file.

        Raises
        ------
        KeystoreError : it is no key, or its account is here already.
        """
        from eth_account import Account

        try:
            document = Account.encrypt(private_key, password)
        except Exception as problem:
            raise KeystoreError("private key", "is not one of secp256k1") from problem
        address = Address(bytes.fromhex(document["address"].removeprefix("0x")))
        for stored in self.accounts():
            if stored.address == address:
                raise KeystoreError(f"0x{address.hex()}", f"is in {stored.path} already")
        return self._write(document, address)

    def _write(self, document: Any, address: Address) -> StoredAccount:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
        path = self.folder / f"UTC--{moment}Z--{address.hex()}"
        unfinished = path.with_name(f".{path.name}.part")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(document))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        return StoredAccount(address, path)

    def find(self, address: bytes) -> StoredAccount:
        """Find an account; raises KeystoreError where it is not here."""
        for stored in self.accounts():
            if stored.address == address:
                return stored
        raise KeystoreError(f"0x{address.hex()}", f"is not in {self.folder}")

    def private_key(self, address: bytes, password: str) -> bytes:
        """Decrypt the key of an account; raises KeystoreError, also where the password is wrong."""
        return decrypt(self.find(address).path, password)


def decrypt(path: Path, password: str) -> bytes:
    """
    Decrypt a key file.

    Raises
    ------
    KeystoreError : it is no key file, or the password is wrong. OSError : it cannot be read.
    """
    from eth_account import Account

    document = _document(path)
    try:
        return bytes(Account.decrypt(document, password))
    except ValueError as problem:
        words = "the password is wrong" if "MAC mismatch" in str(problem) else f"cannot be decrypted: {problem}"
        raise KeystoreError(str(path), words) from problem
    except (KeyError, TypeError, AttributeError) as problem:
        raise KeystoreError(str(path), f"is no key file of version 3: {problem}") from problem


def _document(path: Path) -> dict[str, Any]:
    if not path.is_file() or path.stat().st_size > FILE_SIZE_BYTES_MAX:
        raise KeystoreError(str(path), "is no key file")
    try:
        document = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as problem:
        raise KeystoreError(str(path), "is no key file: not JSON") from problem
    if not isinstance(document, dict) or document.get("version") != 3 or "crypto" not in document:
        raise KeystoreError(str(path), "is no key file of version 3")
    return cast("dict[str, Any]", document)


def _address_in(document: dict[str, Any], path: Path) -> Address:
    try:
        address = bytes.fromhex(str(document["address"]).removeprefix("0x"))
    except (KeyError, ValueError) as problem:
        raise KeystoreError(str(path), "names no address") from problem
    if len(address) != 20:
        raise KeystoreError(str(path), "names no address")
    return Address(address)


def private_key_of_text(text: str) -> bytes:
    """Read a private key in hexadecimal; raises KeystoreError, whose message does not repeat it."""
    if not _KEY.fullmatch(text.strip()):
        raise KeystoreError("private key", "is not 32 bytes of hexadecimal text")
    return bytes.fromhex(text.strip().removeprefix("0x"))
