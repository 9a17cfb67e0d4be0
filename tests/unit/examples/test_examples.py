"""The example programs run, and print what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_own_network__run_as_the_file_says__both_chains_agree(checkout: Path) -> None:
    program = checkout / "examples" / "own_network.py"

    run = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        check=True,
        cwd=checkout,
        env={"PYTHONPATH": "."},
    )

    assert "block 1 of my-network: 0x" in run.stdout
    assert "stores opened: 2; both agree: True" in run.stdout
    assert "the treasury collected 18375000000000 wei" in run.stdout


def test_compile_contracts__help__says_how(checkout: Path) -> None:
    program = checkout / "examples" / "compile_contracts.py"

    run = subprocess.run([sys.executable, str(program), "--help"], capture_output=True, text=True, check=True)

    assert "vyper==0.4.3" in run.stdout
