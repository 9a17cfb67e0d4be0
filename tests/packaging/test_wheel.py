"""The built wheel, installed into an empty environment and used from an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from tests.tidy.repository import files

TIMEOUT_S = 120


@pytest.fixture(scope="session")
def wheel(checkout: Path) -> Path:
    """The wheel that `make wheel` built; `make test` always builds it first."""
    built = sorted((checkout / "build" / "wheels").glob("*.whl"))
    if not built:
        pytest.skip("no wheel in build/wheels: make wheel")
    assert len(built) == 1, f"more than one wheel: {built}"
    return built[0]


@pytest.fixture(scope="session")
def environment(wheel: Path, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel and what it depends on, and nothing else; no network is used."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    # This environment's pip installs into that one, which so holds nothing but what the wheel asks for.
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet", "--no-index",
            "--find-links", checkout / "build" / "wheelhouse", wheel,
        ],
        check=True,
        timeout=TIMEOUT_S,
    )  # fmt: skip
    return folder


@pytest.fixture
def empty_folder(tmp_path: Path) -> Path:
    """Where a program finds nothing of the checkout by accident."""
    return tmp_path


def run_installed(environment: Path, folder: Path, program: str, *arguments: str) -> str:
    """Run a program of the environment; its standard output."""
    finished = subprocess.run(
        [environment / "bin" / program, *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={"HOME": str(folder), "PATH": os.defpath, "NO_COLOR": "1", "TERM": "dumb"},
    )
    assert finished.returncode == 0, f"{program} {' '.join(arguments)}: {finished.stdout}{finished.stderr}"
    return finished.stdout


def test_wheel__files__are_the_package_and_the_engine(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    of_package = {str(path) for path in files() if path.parts[0] == "metis"}
    assert names - of_package == {"metis/engine/_native.abi3.so"}
    assert of_package - names == set(), "the wheel is older than the sources (make wheel), or leaves files out"


def test_wheel__name_and_metadata__say_what_it_is(wheel: Path) -> None:
    assert re.fullmatch(r"metis_stack-[\d.]+-cp311-abi3-\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        fields = HeaderParser().parsestr(archive.read(metadata).decode())
        licences = [name for name in archive.namelist() if name.endswith("/LICENSE")]
    assert fields["Name"] == "metis-stack"
    assert fields["License-Expression"] == "Apache-2.0"
    assert fields["Requires-Python"] == ">=3.11"
    assert len(licences) == 1


def test_installed_wheel__version__is_the_wheels(environment: Path, empty_folder: Path, wheel: Path) -> None:
    version = wheel.name.split("-")[1]
    assert version in run_installed(environment, empty_folder, "metis", "--version")


def test_installed_wheel__help__lists_the_commands(environment: Path, empty_folder: Path) -> None:
    shown = run_installed(environment, empty_folder, "metis", "--help")
    assert "vm" in shown
    assert "demo" in shown


def test_installed_wheel__engine__is_imported_from_the_environment(environment: Path, empty_folder: Path) -> None:
    program = "import metis.engine; print(metis.engine.__file__)"
    where = run_installed(environment, empty_folder, "python", "-W", "error", "-c", program)
    assert Path(where.strip()).is_relative_to(environment)


def test_installed_wheel__chain_of_a_preset__builds_a_block(environment: Path, empty_folder: Path) -> None:
    program = "from metis.sdk import Network; print(Network.from_preset('hyperion').open().build([]).block.number)"
    assert run_installed(environment, empty_folder, "python", "-W", "error", "-c", program).strip() == "1"
    assert list(empty_folder.iterdir()) == [], "it left files behind"
