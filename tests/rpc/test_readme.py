"""The README's table of tools, as somebody follows it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rpc.client_programs import require, run
from tests.rpc.running_node import RunningNode, running_node
from tests.tidy.repository import text_of

URL = "http://127.0.0.1:8545"

PROGRAMS = {
    "web3.py": ("web3", "from web3 import Web3\nprint({}.eth.chain_id)"),
    "viem": ("javascript", "const {{ createPublicClient, http }} = require('viem')\n{}.getChainId().then(console.log)"),
    "ethers": (
        "javascript",
        "const {{ JsonRpcProvider }} = require('ethers')\n"
        "const provider = {}\n"
        "provider.getNetwork().then(network => {{ console.log(Number(network.chainId)); provider.destroy() }})",
    ),
}
"""What stands around a tool's line, and the environment that it runs in; each prints the chain's id."""


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    with running_node() as node:
        yield node


def _line_of(tool: str, node: RunningNode) -> str:
    """What the table says of a tool, for this node."""
    found = re.search(rf"^\| {re.escape(tool)} \| `(.*)` \|$", text_of(Path("README.md")) or "", re.MULTILINE)
    assert found is not None
    return found[1].replace(URL, node.http)


@pytest.mark.parametrize("tool", PROGRAMS)
def test_readme__line_of_a_library__reaches_the_node(tool: str, node: RunningNode, tmp_path: Path) -> None:
    name, around = PROGRAMS[tool]
    environment = require(name)
    program = around.format(_line_of(tool, node))
    command = (environment.python, "-c", program) if name == "web3" else ("node", "-e", program)
    variables = {} if name == "web3" else {"NODE_PATH": environment.packages}
    assert run(environment, tmp_path, *command, **variables) == f"{node.chain_id}\n"


def test_readme__line_of_cast__reaches_the_node(node: RunningNode, tmp_path: Path) -> None:
    environment = require("javascript")
    program, *arguments = shlex.split(_line_of("forge, cast", node))
    assert run(environment, tmp_path, environment.program(program), *arguments) == "0\n"


def test_readme__of_wallets__names_the_chain(node: RunningNode) -> None:
    page = text_of(Path("README.md")) or ""
    assert f"RPC URL {URL}, chain id {node.chain_id}, symbol METIS" in page
