"""
Compile the contracts: what the demonstration deploys, and what a chain has from genesis.

    python examples/compile_contracts.py [--vyper PATH] [--solc PATH]

Vyper's own dependencies are strict, so it lives best in an environment of its own:
``python -m venv build/vyper && build/vyper/bin/pip install vyper==0.4.3``. Solidity's compiler is the one of the forge
tests, which `make clients-quick` installs (``tests/rpc/clients/foundry/solc``).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
# Source, and the folder its artefact goes to.
CONTRACTS = (
    ("examples/token/Token.vy", "metis/cli/contracts"),
    ("examples/smart_account/SmartAccount.vy", "metis/cli/contracts"),
    ("examples/nearest_answer/NearestAnswer.vy", "metis/cli/contracts"),
    ("examples/digit_bounty/DigitBounty.sol", "metis/cli/contracts"),
    ("contracts/inference/ModelRegistry.vy", "metis/sdk/contracts"),
)
EVM_VERSION = "prague"


def compile_contract(vyper: str, source: str) -> dict[str, Any]:
    """
    Compile one contract.

    Parameters
    ----------
    vyper : the compiler's program. source : path below the checkout.

    Returns
    -------
    The artefact: where it comes from, which compiler made it, ABI, creation and runtime bytecode (the latter without
    immutables), storage slots.
    """
    path = CHECKOUT / source
    version = subprocess.run([vyper, "--version"], check=True, capture_output=True, text=True).stdout  # noqa: S603
    command = [vyper, "--evm-version", EVM_VERSION, "-f", "abi,bytecode,bytecode_runtime,layout", str(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    abi, bytecode, runtime, layout = output.strip().splitlines()
    storage = json.loads(layout).get("storage_layout", {})
    return {
        "contract": path.stem,
        "source": source,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "compiler": f"vyper {version.strip()}",
        "evm_version": EVM_VERSION,
        "abi": json.loads(abi),
        "bytecode": bytecode,
        "runtime_bytecode": runtime,
        "storage_slots": {name: entry["slot"] for name, entry in storage.items()},
    }


def compile_solidity(solc: str, source: str) -> dict[str, Any]:
    """
    Compile one contract in Solidity.

    Parameters
    ----------
    solc : the compiler's program, which takes ``--standard-json``. source : path below the checkout.

    Returns
    -------
    The artefact, as that of :func:`compile_contract`.
    """
    path = CHECKOUT / source
    version = subprocess.run([solc, "--version"], check=True, capture_output=True, text=True).stdout  # noqa: S603
    wanted = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"]
    document = {
        "language": "Solidity",
        "sources": {source: {"content": path.read_text(encoding="utf-8")}},
        "settings": {
            "evmVersion": EVM_VERSION,
            "optimizer": {"enabled": True, "runs": 200},
            "outputSelection": {"*": {"*": wanted}},
        },
    }
    command = [solc, "--standard-json"]
    output = subprocess.run(command, input=json.dumps(document), check=True, capture_output=True, text=True)  # noqa: S603
    compiled = json.loads(output.stdout)["contracts"][source][path.stem]
    return {
        "contract": path.stem,
        "source": source,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "compiler": f"solc {version.split('Version: ')[1].strip().removesuffix('.Emscripten.clang')}",
        "evm_version": EVM_VERSION,
        "abi": compiled["abi"],
        "bytecode": f"0x{compiled['evm']['bytecode']['object']}",
        "runtime_bytecode": f"0x{compiled['evm']['deployedBytecode']['object']}",
        "storage_slots": {entry["label"]: int(entry["slot"]) for entry in compiled["storageLayout"]["storage"]},
    }


def main() -> int:
    """Compile every contract and write the artefacts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vyper", default="vyper", help="the compiler's program")
    parser.add_argument("--solc", default="solc", help="Solidity's")
    given = parser.parse_args()
    for source, folder in CONTRACTS:
        is_solidity = source.endswith(".sol")
        artefact = compile_solidity(given.solc, source) if is_solidity else compile_contract(given.vyper, source)
        path = CHECKOUT / folder / f"{artefact['contract']}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(artefact, indent=2) + "\n", encoding="utf-8")
        sys.stdout.write(f"{source} -> {path.relative_to(CHECKOUT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
