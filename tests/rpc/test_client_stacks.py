"""
Development stacks against the node, at pinned versions: forge, hardhat, titanoboa and ape, with compilers.

Each deploys the same ledger, moves some of it, reads the event, and is told why a move is refused.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.rpc.client_programs import CLIENTS, require, run
from tests.rpc.running_node import Client, RunningNode

BOB = "0x0000000000000000000000000000000000000B0b"
SUPPLY_SELECTOR = "0x047fc9aa"


def key(node: RunningNode, account: int) -> str:
    return f"0x{node.keys[account].hex()}"


def forge(home: Path, *options: str, **variables: str) -> str:
    """Run forge in a copy of its project."""
    foundry = require("foundry")
    if not (home / "foundry.toml").exists():
        shutil.copytree(CLIENTS / "foundry" / "project", home, dirs_exist_ok=True)
        shutil.copy(CLIENTS / "Ledger.sol", home / "src")
    compiler = {"FOUNDRY_SOLC": str(CLIENTS / "foundry" / "solc"), "NODE_PATH": str(foundry.packages)}
    return run(foundry, home, foundry.program("forge"), *options, **compiler, **variables)


def test_forge__script_and_create__broadcast_what_tests_then_find(
    node: RunningNode, client: Client, tmp_path: Path
) -> None:
    to_node = ["--broadcast", "--rpc-url", node.http, "--private-key", key(node, 5)]
    shown = forge(tmp_path, "script", "script/Deploy.s.sol", *to_node)
    assert "ONCHAIN EXECUTION COMPLETE & SUCCESSFUL." in shown
    found = re.search(r"contract Ledger (0x[0-9a-fA-F]{40})", shown)
    assert found is not None
    assert int(client.ask("eth_call", {"to": found[1], "data": SUPPLY_SELECTOR}, "latest"), 16) == 1_000

    create = ["create", "src/Ledger.sol:Ledger", *to_node, "--json", "--constructor-args", "55"]
    created = json.loads(forge(tmp_path, *create))
    assert int(client.ask("eth_call", {"to": created["deployedTo"], "data": SUPPLY_SELECTOR}, "latest"), 16) == 55

    # Tests, one of them on a fork of the node where the script's ledger is.
    shown = forge(tmp_path, "test", "-vvv", METIS_URL=node.http, METIS_LEDGER=found[1])
    assert "4 tests passed, 0 failed, 0 skipped" in shown
    assert len(re.findall(r"\[PASS\] testFuzz_.*\(runs: 256,", shown)) == 2


# The environments of the following take up to minutes to install: `make test` does without them.


@pytest.fixture
def hardhat_project(tmp_path: Path) -> Path:
    """A copy of the project, beside the installed packages."""
    hardhat = require("hardhat")
    shutil.copytree(CLIENTS / "hardhat" / "project", tmp_path, dirs_exist_ok=True)
    (tmp_path / "contracts").mkdir()
    shutil.copy(CLIENTS / "Ledger.sol", tmp_path / "contracts")
    shutil.copy(CLIENTS / "hardhat" / "package.json", tmp_path)
    (tmp_path / "node_modules").symlink_to(hardhat.packages)
    return tmp_path


def hardhat(project: Path, node: RunningNode, *options: str) -> str:
    script = project / "node_modules" / "hardhat" / "dist" / "src" / "cli.js"
    return run(
        require("hardhat"), project, "node", script, *options,
        METIS_URL=node.http, METIS_KEY=key(node, 1),
        HARDHAT_DISABLE_TELEMETRY_PROMPT="true", HARDHAT_IGNITION_CONFIRM_DEPLOYMENT="false",
    )  # fmt: skip


@pytest.mark.long
def test_hardhat__tests_on_an_http_network__pass(node: RunningNode, hardhat_project: Path) -> None:
    shown = hardhat(hardhat_project, node, "test", "nodejs")
    assert "8 passing" in shown
    assert "failing" not in shown


@pytest.mark.long
def test_hardhat__ignition__deploys_a_module(node: RunningNode, client: Client, hardhat_project: Path) -> None:
    shown = hardhat(hardhat_project, node, "ignition", "deploy", "ignition/modules/Ledger.ts", "--network", "metis")
    found = re.search(r"LedgerModule#Ledger - (0x[0-9a-fA-F]{40})", shown)
    assert found is not None
    assert int(client.ask("eth_call", {"to": found[1], "data": SUPPLY_SELECTOR}, "latest"), 16) == 1_000


@pytest.mark.long
def test_titanoboa__network_mode__works(node: RunningNode, tmp_path: Path) -> None:
    boa = require("boa")
    script = CLIENTS / "boa" / "boa_client.pyw"
    assert "ok" in run(
        boa, tmp_path, boa.python, "-W", "error::UserWarning", script, node.http, key(node, 2), CLIENTS / "Ledger.vy"
    )


@pytest.mark.long
def test_ape__node_provider__works(node: RunningNode, tmp_path: Path) -> None:
    ape = require("ape")
    project = tmp_path / "project"
    (project / "contracts").mkdir(parents=True)
    shutil.copy(CLIENTS / "Ledger.vy", project / "contracts")
    # Ape's plugin takes Vyper from where its version manager keeps what it downloads.
    (tmp_path / ".vvm").mkdir()
    (tmp_path / ".vvm" / "vyper-0.4.3").symlink_to(ape.folder / "bin" / "vyper")
    script = CLIENTS / "ape" / "ape_client.pyw"
    assert "ok" in run(ape, tmp_path, ape.python, script, node.http, project)
