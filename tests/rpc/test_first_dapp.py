"""docs/first-dapp.md, as somebody follows it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rpc.client_programs import require
from tests.rpc.client_programs import run as run_program
from tests.rpc.running_node import RunningNode, running_node
from tests.tidy.repository import CHECKOUT, fences, text_of

PAGE = Path("docs/first-dapp.md")


def _program(name: str) -> str:
    """A Python program of the page, by the name in its first line."""
    programs = ["\n".join(fence.lines) for fence in fences(text_of(PAGE) or "") if fence.language == "python"]
    return next(program for program in programs if program.startswith(f"# {name}\n"))


@dataclass(frozen=True)
class Started:
    """What somebody has who followed the page as far as the contracts: a node, a folder, and the model's report."""

    node: RunningNode
    folder: Path
    model_id: str
    active_from: int


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("dapp")
    environment = {"METIS_MODELS": str(folder / "store"), "XDG_CACHE_HOME": str(folder / "cache")}
    with running_node(environment=environment) as node:
        for name in ("model.py", "play.py", "game.py"):
            (folder / name).write_text(_program(name).replace("http://127.0.0.1:8545", node.http))
        variables = {**os.environ, **environment, "PYTHONPATH": str(CHECKOUT)}
        subprocess.run([sys.executable, "model.py"], cwd=folder, env=variables, check=True, timeout=120)
        found = re.search(r"^metis (ai publish .*)$", text_of(PAGE) or "", re.MULTILINE)
        assert found is not None
        publish = shlex.split(found[1].replace("http://127.0.0.1:8545", node.http))
        done = subprocess.run(
            [sys.executable, "-m", "metis.cli", *publish],
            cwd=folder,
            env=variables,
            check=True,
            timeout=60,
            capture_output=True,
        )
        report = json.loads(done.stdout)
        yield Started(node, folder, report["model_id"], report["active_from"])


def test_first_dapp__solidity_as_the_page_says__pays_the_bounty(started: Started) -> None:
    web3 = require("web3")
    arguments = [started.model_id, str(started.active_from), str(CHECKOUT)]
    shown = run_program(web3, started.folder, web3.python, "play.py", *arguments)
    assert re.fullmatch(r"paid 1000000000000000000 wei for \d+ gas and \d+ units of inference\n", shown)


def test_first_dapp__vyper_as_the_page_says__sees_the_digit(started: Started) -> None:
    boa = require("boa")
    # The page has the contract in Solidity first, which waits until the model is active.
    with contextlib.closing(started.node.client()) as client:
        client.ask("anvil_mine", hex(started.active_from))
    shown = run_program(
        boa, started.folder, boa.python, "game.py", started.model_id, str(CHECKOUT), PYTHONPATH=CHECKOUT
    )
    assert shown.endswith("the contract saw a 7\n")
