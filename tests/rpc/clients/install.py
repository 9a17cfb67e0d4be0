"""Make the clients' environments: ``python -m tests.rpc.clients.install``. Needs npm, and the package registries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Install the pinned versions into the folder that METIS_CLIENTS names."""
    folder = Path(os.environ.get("METIS_CLIENTS", Path.home() / ".cache" / "metis-clients")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder / name)
    npm = shutil.which("npm")
    if npm is None:
        print("npm is not there: the JavaScript clients and cast are left out", file=sys.stderr)
    else:
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=folder, check=True)
    web3 = folder / "web3"
    subprocess.run([sys.executable, "-m", "venv", str(web3)], check=True)
    pip = [str(web3 / "bin" / "pip"), "install", "--quiet", "--requirement", str(HERE / "requirements.txt")]
    subprocess.run(pip, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
