"""``metis account``: keys in encrypted files, checked with eth-account itself."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from tests.unit.cli.running import run_here, run_process

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
PASSWORD = "correct horse"  # noqa: S105 - of a test

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a password and a key."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "key").write_text(f"{KEY}\n")
    return tmp_path


def options(files: Path) -> tuple[str, ...]:
    return ("--keystore", str(files / "keys"), "--password-file", str(files / "password"))


def imported(files: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    ended = run_here(capsys, "account", "import", "--key-file", str(files / "key"), *options(files), "--json")
    assert ended.exit_code == 0, ended.err
    assert ended.object["address"] == ADDRESS
    return Path(ended.object["path"])


def test_import__of_a_private_key__is_a_file_that_only_its_owner_reads_and_the_password_opens(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = imported(files, capsys)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KEY[2:] not in path.read_text()
    assert Account.decrypt(json.loads(path.read_text()), PASSWORD) == bytes.fromhex(KEY[2:])


def test_import__of_a_key_that_is_here__is_refused(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imported(files, capsys)
    ended = run_here(capsys, "account", "import", "--key-file", str(files / "key"), *options(files), "--json")
    assert (ended.exit_code, ended.object["error"]["slug"]) == (2, "keystore")


def test_import__of_another_wallets_file__keeps_its_password(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = files / "other.json"
    other.write_text(json.dumps(Account.encrypt(bytes.fromhex(KEY[2:]), PASSWORD)))
    ended = run_here(capsys, "account", "import", "--from", str(other), *options(files), "--json")
    assert ended.object["address"] == ADDRESS


def test_new__twice__are_two_accounts_that_are_listed(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [run_here(capsys, "account", "new", *options(files), "--json").object for _ in range(2)]
    (files / "keys" / "notes.txt").write_text("no key")
    listed = run_here(capsys, "account", "list", "--keystore", str(files / "keys"), "--json").object
    assert listed == {"accounts": made}
    assert made[0]["address"] != made[1]["address"]
    plain = run_here(capsys, "account", "list", "--keystore", str(files / "keys")).out
    assert made[0]["address"] in plain


def test_list__of_no_folder__is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "account", "list", "--keystore", str(tmp_path / "none"), "--json")
    assert (ended.exit_code, ended.object) == (0, {"accounts": []})


def test_sign__of_a_message__recovers_to_the_account(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    imported(files, capsys)
    for extra, message in (
        (("--message", "hello"), encode_defunct(text="hello")),
        (("--message", "0x1234", "--hex"), encode_defunct(hexstr="0x1234")),
    ):
        signed = run_here(capsys, "account", "sign", ADDRESS, *extra, *options(files), "--json").object
        assert Account.recover_message(message, signature=signed["signature"]) == ADDRESS


@pytest.mark.parametrize("plain", [True, False])
def test_export__to_a_file__is_the_key_file_or_the_key(
    files: Path,
    capsys: pytest.CaptureFixture[str],
    plain: bool,  # noqa: FBT001 - both forms
) -> None:
    imported(files, capsys)
    to = files / "exported"
    form = ("--private-key",) if plain else ()
    ended = run_here(capsys, "account", "export", ADDRESS, "--to", str(to), *form, *options(files))
    assert ended.exit_code == 0
    assert KEY[2:] not in ended.out + ended.err
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    content = to.read_text()
    assert content == f"{KEY}\n" if plain else Account.decrypt(json.loads(content), PASSWORD).to_0x_hex() == KEY
    again = run_here(capsys, "account", "export", ADDRESS, "--to", str(to), *options(files))
    assert again.exit_code == 2


def test_wrong_password__or_unknown_account__is_told_without_secrets(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(files, capsys)
    (files / "password").write_text("wrong")
    ended = run_here(capsys, "account", "sign", ADDRESS, "--message", "x", *options(files))
    assert (ended.exit_code, "the password is wrong" in ended.err) == (2, True)
    ended = run_here(capsys, "account", "sign", "0x" + "11" * 20, "--message", "x", *options(files))
    assert (ended.exit_code, "is not in" in ended.err) == (2, True)


@pytest.mark.parametrize("key", ["0x12", "zz" * 32, "00" * 32, "ff" * 32])
def test_import__of_what_is_no_key__does_not_repeat_it(
    files: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    (files / "key").write_text(key)
    ended = run_here(capsys, "account", "import", "--key-file", str(files / "key"), *options(files))
    assert ended.exit_code == 2
    assert key not in ended.out + ended.err
    assert "Traceback" not in ended.err


def test_secrets__from_stdin__are_read_there(files: Path) -> None:
    import subprocess
    import sys

    command = [sys.executable, "-m", "metis.cli", "account", "import", "--key-file", "-", *options(files), "--json"]
    ended = subprocess.run(command, input=KEY, capture_output=True, text=True, timeout=60, check=False)
    assert json.loads(ended.stdout)["address"] == ADDRESS


def test_help__of_the_group__imports_no_library_of_keys() -> None:
    ended = run_process(
        python=(
            "-c",
            "import sys; from metis.cli import main; main(['account','--help']); print('eth_account' in sys.modules)",
        )
    )
    assert ended.out.strip().endswith("False")
