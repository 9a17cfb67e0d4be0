"""
The environment of the executable specification: `.venv-oracle` at the root of the checkout.

``python -m tests.differential.oracle_env`` creates it, or does nothing when it is there already with
the pinned versions. Only the standard library is used, so that any Python can run it.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["ROOT", "ensure_environment", "is_ready", "oracle_python"]

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FOLDER = ROOT / ".venv-oracle"
STAMP = FOLDER / "installed.sha256"


def oracle_python() -> Path:
    """Where the interpreter of the environment is, or will be."""
    return FOLDER / "bin" / "python"


def wanted_stamp() -> str:
    """What the environment was installed from; an interpreter that went away shows by its missing file."""
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def is_ready() -> bool:
    """Whether the environment is there with these pins."""
    return oracle_python().exists() and STAMP.exists() and STAMP.read_text(encoding="ascii").strip() == wanted_stamp()


def ensure_environment() -> bool:
    """
    Create or renew the environment; returns whether anything had to be done.

    Raises
    ------
    subprocess.CalledProcessError : a package could not be installed; the next call starts over.
    """
    if is_ready():
        return False
    # The stamp is written last, so an interrupted installation counts as none.
    shutil.rmtree(FOLDER, ignore_errors=True)
    venv.create(FOLDER, with_pip=True)
    pip = [str(oracle_python()), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
    STAMP.write_text(wanted_stamp() + "\n", encoding="ascii")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential.oracle_env", description=__doc__)
    parser.add_argument("--check", action="store_true", help="install nothing; exit 1 when it is missing or old")
    if parser.parse_args().check:
        print(f"{FOLDER}: {'ready' if is_ready() else 'missing or old'}")
        return 0 if is_ready() else 1
    print(f"{FOLDER}: {'installed' if ensure_environment() else 'already there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
