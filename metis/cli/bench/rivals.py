"""
The nodes that are compared, as processes on loopback.

anvil is looked for in this order: ``--anvil``, the environment's METIS_ANVIL, the search path, and a
folder of its own in the user's cache, into which npm installs the pinned version when it is empty.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from metis.cli.bench.asking import BenchFailure, Client
from metis.cli.bench.report import progress
from metis.node.user_folders import user_cache

__all__ = ["ANVIL_VERSION", "NodeProcess", "find_anvil", "running_anvil", "running_metis"]

ANVIL_VERSION = "1.7.1"
START_TIMEOUT_S = 20.0


class NodeProcess(NamedTuple):
    """A node that answers on a port of loopback."""

    port: int
    pid: int


def find_anvil(given: Path | None) -> Path:
    """
    Return anvil's program.

    Parameters
    ----------
    given : path of the program, or None to look for it.

    Raises
    ------
    BenchFailure : it is not there and cannot be installed.
    """
    for candidate in (given, os.environ.get("METIS_ANVIL"), shutil.which("anvil")):
        if candidate:
            path = Path(candidate)
            if not os.access(path, os.X_OK):
                raise BenchFailure(f"anvil: {path} is no program")
            return path
    folder = user_cache(f"anvil-{ANVIL_VERSION}")
    system = platform.system().lower()
    processor = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    program = folder / "node_modules" / "@foundry-rs" / f"anvil-{system}-{processor}" / "bin" / "anvil"
    if not program.is_file():
        _install(folder)
    if not program.is_file():
        raise BenchFailure(f"anvil: npm installed no program for {system} {processor}; name one with --anvil")
    return program


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise BenchFailure("anvil: not found, and npm is not there to install it; name it with --anvil")
    progress(f"installing anvil {ANVIL_VERSION} under {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--silent", "--prefix", str(folder), f"@foundry-rs/anvil@{ANVIL_VERSION}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - a pinned package
    if done.returncode != 0:
        raise BenchFailure(f"anvil: npm could not install it: {done.stderr.strip()[-300:]}")


def running_metis(*options: str) -> AbstractContextManager[NodeProcess]:
    """Run ``metis dev`` until the context ends."""
    return _running([sys.executable, "-m", "metis.cli", "dev", *options, "--port"])


def running_anvil(program: Path, *options: str) -> AbstractContextManager[NodeProcess]:
    """Run anvil until the context ends."""
    return _running([str(program), "--silent", *options, "--port"])


@contextmanager
def _running(command: Sequence[str]) -> Iterator[NodeProcess]:
    port = _free_port()
    process = subprocess.Popen(  # noqa: S603 - our own command, or the program the user named
        [*command, str(port)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while True:
            if process.poll() is not None or time.monotonic() > deadline_s:
                process.kill()
                words = process.stderr.read()[-500:] if process.stderr else ""
                raise BenchFailure(f"{command[0]} did not start: {words}")
            try:
                Client(port).ask("eth_chainId")
            except OSError:
                time.sleep(0.05)
                continue
            break
        yield NodeProcess(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    """Return a port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
