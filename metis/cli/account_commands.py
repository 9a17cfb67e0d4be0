"""
The commands of ``metis account``.

Secrets are asked for at the terminal, or read from a file or from stdin ("-"): never from arguments, which
other users of the machine can see, and never printed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metis.cli.output import columns, write_json

if TYPE_CHECKING:
    from metis.node.keystore import Keystore, StoredAccount
    from metis.types import Address

__all__ = ["DEFAULT_FOLDER", "export", "import_key", "key_of_account", "list_accounts", "new", "secret_of", "sign"]

_Folder = Annotated[
    Path,
    typer.Option("--keystore", metavar="FOLDER", help="Where the key files are."),
]
_PasswordFile = Annotated[
    str,
    typer.Option("--password-file", metavar="FILE", help='Read the password from there; "-" is stdin.'),
]
_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="The account.", show_default=False)]

STDIN = "-"
DEFAULT_FOLDER = Path("~/.metis/keystore")


def new(folder: _Folder = DEFAULT_FOLDER, password_file: _PasswordFile = "", as_json: _AsJson = False) -> None:
    """
    Make a key from the system's randomness and keep it in an encrypted file.

    With --json: {"address", "path"}.
    """
    import secrets

    password = _password(password_file, confirm=True)
    keystore = _keystore(folder)
    # BOUND: all but one in 2**128 keys are valid; the library says where one is not.
    _report(keystore.add(secrets.token_bytes(32), password), as_json=as_json)


def list_accounts(folder: _Folder = DEFAULT_FOLDER, as_json: _AsJson = False) -> None:
    """
    List the accounts of a keystore, the oldest file first.

    With --json: {"accounts": [{"address", "path"}]}.
    """
    accounts = _keystore(folder).accounts()
    if as_json:
        write_json({"accounts": [_as_object(stored) for stored in accounts]})
    elif accounts:
        rows = [(_checksummed(stored.address), str(stored.path)) for stored in accounts]
        typer.echo(columns(("address", "file"), rows, left=2))
    else:
        typer.echo(f"no accounts in {folder.expanduser()}")


def import_key(
    key_file: Annotated[
        str,
        typer.Option("--key-file", metavar="FILE", help='Read the private key (hexadecimal) there; "-" is stdin.'),
    ] = "",
    keystore_file: Annotated[
        str,
        typer.Option("--from", metavar="FILE", help="Take an encrypted key file of version 3; it keeps its password."),
    ] = "",
    folder: _Folder = DEFAULT_FOLDER,
    password_file: _PasswordFile = "",
    as_json: _AsJson = False,
) -> None:
    """
    Keep a private key, or another wallet's key file, in the keystore.

    Without a file the key is asked for at the terminal. With --json: {"address", "path"}.
    """
    from metis.node.keystore import decrypt, private_key_of_text

    if key_file == password_file == STDIN:
        raise typer.BadParameter("only one of --key-file and --password-file can be stdin")
    if keystore_file:
        password = _password(password_file, confirm=False)
        key = decrypt(Path(keystore_file), password)
    else:
        key = private_key_of_text(secret_of(key_file, "Private key (not shown)"))
        password = _password(password_file, confirm=True)
    _report(_keystore(folder).add(key, password), as_json=as_json)


def export(
    address: _Address,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The file to write; it must not exist.")],
    plain: Annotated[bool, typer.Option("--private-key", help="Write the private key itself, not encrypted.")] = False,
    folder: _Folder = DEFAULT_FOLDER,
    password_file: _PasswordFile = "",
    as_json: _AsJson = False,
) -> None:
    """
    Write an account's encrypted key file, or with --private-key its key, to a file of mode 0600.

    The password is asked for in both cases. With --json: {"address", "path"}.
    """
    import os

    from metis.node.keystore import KeystoreError, StoredAccount

    keystore = _keystore(folder)
    stored = keystore.find(_address(address))
    key = keystore.private_key(stored.address, _password(password_file, confirm=False))
    content = f"0x{key.hex()}\n".encode() if plain else stored.path.read_bytes()
    try:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as problem:
        raise KeystoreError(str(to), f"cannot be written: {problem.strerror}") from problem
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    _report(StoredAccount(stored.address, to), as_json=as_json)


def sign(
    address: _Address,
    message: Annotated[
        str, typer.Option("--message", metavar="TEXT", help="What to sign; without it stdin is read.")
    ] = "",
    hexadecimal: Annotated[bool, typer.Option("--hex", help="The message is 0x-hexadecimal bytes.")] = False,
    folder: _Folder = DEFAULT_FOLDER,
    password_file: _PasswordFile = "",
    as_json: _AsJson = False,
) -> None:
    """
    Sign a message as personal_sign does (EIP-191, version 0x45).

    Prints the signature: r, s and v, 65 bytes. With --json: {"address", "message_hash", "signature"}.
    """
    from metis.engine import keccak256
    from metis.node.accounts import Account, DevelopmentSigner

    if not message and password_file == STDIN:
        raise typer.BadParameter("only one of the message and --password-file can be stdin")
    text = message or sys.stdin.read()
    content = _bytes(text.strip()) if hexadecimal else text.encode()
    account = _address(address)
    key = _keystore(folder).private_key(account, _password(password_file, confirm=False))
    signature = DevelopmentSigner([Account(account, key)]).sign_message(account, content)
    if as_json:
        digest = keccak256(b"\x19Ethereum Signed Message:\n%d%b" % (len(content), content))
        write_json({"address": _checksummed(account), "message_hash": digest, "signature": signature})
    else:
        typer.echo(f"0x{signature.hex()}")


def key_of_account(address: str, folder: Path, password_file: str) -> bytes:
    """The private key of an account in a keystore; its password is asked for where no file has it."""
    return _keystore(folder).private_key(_address(address), _password(password_file, confirm=False))


def _keystore(folder: Path) -> Keystore:
    from metis.node.keystore import Keystore

    return Keystore(folder.expanduser())


def _password(source: str, *, confirm: bool) -> str:
    return secret_of(source, "Password", confirm=confirm)


def secret_of(source: str, prompt: str, *, confirm: bool = False) -> str:
    """Read a secret's first line from a file or stdin, or ask for it without showing it."""
    if source == STDIN:
        return sys.stdin.readline().rstrip("\r\n")
    if source:
        from metis.node.keystore import KeystoreError

        try:
            return Path(source).read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
        except OSError as problem:
            raise KeystoreError(source, f"cannot be read: {problem.strerror}") from problem
    asked: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    return asked


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError as problem:
        raise typer.BadParameter("is not hexadecimal") from problem


def _address(text: str) -> Address:
    address = _bytes(text)
    if len(address) != 20:
        raise typer.BadParameter(f"{text} is no address")
    from metis.types import Address

    return Address(address)


def _checksummed(address: bytes) -> str:
    from metis.cli.dev_report import checksum_address

    return checksum_address(address)


def _as_object(stored: StoredAccount) -> dict[str, str]:
    return {"address": _checksummed(stored.address), "path": str(stored.path)}


def _report(stored: StoredAccount, *, as_json: bool) -> None:
    if as_json:
        write_json(_as_object(stored))
    else:
        typer.echo(f"{_checksummed(stored.address)}  {stored.path}")
