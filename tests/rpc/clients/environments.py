"""
The environments of the client stacks: a folder each, because their pins conflict with ours and each other's.

They lie in the folder that ``METIS_CLIENTS`` names, by default ``build/clients`` of the checkout. Each is
made from the lock file in the folder of its name here and from nothing else, and no package's own
install script is run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

import uv

__all__ = ["ENVIRONMENTS", "Environment", "MissingProgram"]

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]


class MissingProgram(Exception):
    """A program that an environment is installed with is not on this machine."""


@dataclass(frozen=True, slots=True)
class Environment:
    """
    One stack's packages, at the versions of its lock file.

    Attributes
    ----------
    holds : what is in it, for people.
    long : whether installing it takes so long that only ``make clients`` and ``make test-long`` do.
    node_from : the environment whose Node.js npm and its packages need; "" takes the machine's.
    """

    name: str
    holds: str
    long: bool = False
    node_from: str = ""

    @property
    def folder(self) -> Path:
        """Where it is, or will be."""
        return Path(os.environ.get("METIS_CLIENTS") or CHECKOUT / "build" / "clients").resolve() / self.name

    @property
    def locks(self) -> list[Path]:
        """The files that it is made from."""
        names = ("requirements.txt", "package.json", "package-lock.json")
        return [HERE / self.name / name for name in names if (HERE / self.name / name).exists()]

    @property
    def is_ready(self) -> bool:
        """Whether it is there with these versions."""
        stamp = self.folder / "installed.sha256"
        return stamp.exists() and stamp.read_text(encoding="ascii") == self._wanted_stamp()

    @property
    def python(self) -> Path:
        """The interpreter of a Python environment."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """The packages of a JavaScript environment."""
        return self.folder / "node_modules"

    def program(self, name: str) -> Path:
        """
        A native program of a JavaScript environment, from the package for this platform that has it.

        Raises
        ------
        MissingProgram : no installed package has it.
        """
        found = sorted(self.packages.glob(f"*/bin/{name}")) + sorted(self.packages.glob(f"@*/*/bin/{name}"))
        if not found:
            raise MissingProgram(f"no package in {self.packages} has {name} for this platform")
        return found[0]

    def install(self) -> None:
        """
        Make it from nothing.

        Raises
        ------
        MissingProgram : npm is not there. subprocess.CalledProcessError : a package could not be installed.
        """
        npm = shutil.which("npm")
        if npm is None and not self._is_python:
            raise MissingProgram("npm is not there: install Node.js 20 or newer")
        # The stamp is written last, so that an interrupted installation counts as none.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self._is_python:
            venv.create(self.folder, with_pip=False)
            # pip takes minutes for what takes uv seconds.
            options = ["--quiet", "--no-config", "--no-deps", "--requirement", str(self.locks[0])]
            subprocess.run([uv.find_uv_bin(), "pip", "install", "--python", str(self.python), *options], check=True)
        else:
            for lock in self.locks:
                shutil.copy(lock, self.folder)
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
            # Not "npm ci": it refuses a lock file where a package for another platform could not be found.
            subprocess.run(
                [str(npm), "install", *options],
                cwd=self.folder,
                check=True,
                stdout=subprocess.DEVNULL,
                env=self.process_environment(),
            )
        (self.folder / "installed.sha256").write_text(self._wanted_stamp(), encoding="ascii")

    def process_environment(self) -> dict[str, str]:
        """The environment variables of its programs: the Node.js that they need comes first."""
        variables = dict(os.environ)
        if self.node_from:
            node = ENVIRONMENTS[self.node_from].program("node")
            variables["PATH"] = f"{node.parent}{os.pathsep}{variables.get('PATH', '')}"
        return variables

    @property
    def _is_python(self) -> bool:
        return self.locks[0].name == "requirements.txt"

    def _wanted_stamp(self) -> str:
        return hashlib.sha256(b"".join(lock.read_bytes() for lock in self.locks)).hexdigest()


ENVIRONMENTS = {
    made.name: made
    for made in (
        Environment("web3", "web3.py"),
        Environment("javascript", "viem, ethers and cast"),
        Environment("foundry", "forge, and Solidity's compiler"),
        Environment("browser", "Chromium without a window"),
        Environment("boa", "titanoboa and Vyper", long=True),
        Environment("ape", "eth-ape and Vyper", long=True),
        Environment("node22", "Node.js 22, for hardhat", long=True),
        Environment("hardhat", "hardhat, its plugins, and Solidity's compiler", long=True, node_from="node22"),
    )
}
"""By name, in the order of installation."""
