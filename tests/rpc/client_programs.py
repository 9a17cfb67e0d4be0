"""Running the programs of the client stacks: what each may see of the machine, and how it must end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.rpc.clients.environments import ENVIRONMENTS, HERE, Environment

__all__ = ["CLIENTS", "require", "run"]

CLIENTS = HERE
"""The folder of the clients' sources."""

STUCK_S = 150
"""How long a program may take on a busy machine before the test fails instead of hanging."""


def require(name: str) -> Environment:
    """The environment of that name; the test is skipped where it is not installed."""
    environment = ENVIRONMENTS[name]
    if not environment.is_ready:
        pytest.skip(f"{environment.holds}: not installed with the pinned versions (make clients)")
    return environment


def run(environment: Environment, home: Path, *command: str | Path, **variables: str | Path) -> str:
    """
    Run a program of an environment, which must succeed; returns what it printed.

    Parameters
    ----------
    home : its home and working folder, so that it finds no settings of the user and leaves none behind.
    variables : more environment variables.
    """
    ended = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=STUCK_S,
        check=False,
        cwd=home,
        stdin=subprocess.DEVNULL,
        env={
            **environment.process_environment(),
            "HOME": str(home),
            "NO_COLOR": "1",
            "CLIENT_PACKAGES": str(environment.folder),
            **{name: str(value) for name, value in variables.items()},
        },
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout
