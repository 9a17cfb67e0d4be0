"""Contracts that call a model of digits: on a node, in forge's tests, in titanoboa's."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from eth_abi.abi import encode

from metis.ai import save
from metis.cli.demo.models import train_digits
from tests.rpc.client_programs import CLIENTS, require, run
from tests.rpc.control_world import CONTRACTS, FIRST, deploy, send
from tests.rpc.running_node import Client, RunningNode, running_node
from tests.rpc.test_client_stacks import forge
from tests.rpc.test_inference import publish
from tests.unit.engine.inference_world import call_data

CHECKOUT = CLIENTS.parents[2]
PRICE_WEI = 7
COIN_WEI = 10**18


@dataclass(frozen=True)
class Digits:
    """A model of digits in its file, an image for it, and what it sees there."""

    path: Path
    model_id: bytes
    image: bytes
    seen: int


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    path = tmp_path_factory.mktemp("digits") / "digits.model"
    made = train_digits()
    save(made.file, path)
    return Digits(path, made.file.model.id, made.inputs()[0], int(made.answers()[0]))


@pytest.fixture
def node(digits: Digits, tmp_path: Path) -> Iterator[RunningNode]:
    """A node on which the model is active, at a price."""
    environment = {"METIS_MODELS": str(tmp_path / "store"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with running_node(environment=environment) as node, contextlib.closing(node.client()) as client:
        report = publish(environment, digits.path, "--rpc", node.http, "--price-wei", str(PRICE_WEI))
        client.ask("anvil_mine", hex(report["active_from"]))
        yield node


@pytest.fixture
def client(node: RunningNode) -> Iterator[Client]:
    with contextlib.closing(node.client()) as client:
        yield client


def test_contract_in_solidity__image_of_the_asked_digit__pays_the_bounty(digits: Digits, client: Client) -> None:
    artefact = json.loads((CONTRACTS / "DigitBounty.json").read_bytes())

    def bounty(digit: int) -> str:
        creation = artefact["bytecode"] + encode(["bytes32", "uint8"], [digits.model_id, digit]).hex()
        address = deploy(client, creation)
        client.ask("anvil_setBalance", address, hex(COIN_WEI))
        return address

    claim = f"0x{call_data('claim(bytes)', digits.image).hex()}"
    right, wrong = bounty(digits.seen), bounty((digits.seen + 1) % 10)
    refused = client.answer("eth_call", {"from": FIRST, "to": wrong, "data": claim, "value": hex(PRICE_WEI)}, "latest")
    receipt = send(client, to=right, value=hex(PRICE_WEI), data=claim)

    assert refused["error"]["data"].startswith(f"0x{call_data('NotTheDigit(uint8)', digits.seen).hex()}")
    assert (receipt["status"], receipt["inferenceFee"], len(receipt["logs"])) == ("0x1", hex(PRICE_WEI), 2)
    assert int(client.ask("eth_getBalance", right, "latest"), 16) == 0


def test_forge__contract_that_calls_a_model__is_tested_against_a_node(
    digits: Digits, node: RunningNode, tmp_path: Path
) -> None:
    home = tmp_path / "project"
    shutil.copytree(CLIENTS / "foundry" / "project", home)
    shutil.rmtree(home / "test")
    shutil.rmtree(home / "script")
    (home / "test").mkdir()
    shutil.copy(CLIENTS / "foundry" / "Inference.t.sol", home / "test")
    for source in (CHECKOUT / "contracts" / "inference").rglob("*.sol"):
        target = home / "src" / "inference" / source.relative_to(CHECKOUT / "contracts" / "inference")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    shutil.copy(CHECKOUT / "examples" / "digit_bounty" / "DigitBounty.sol", home / "src")
    variables = {
        "METIS_URL": node.http,
        "METIS_MODEL": f"0x{digits.model_id.hex()}",
        "METIS_IMAGE": f"0x{digits.image.hex()}",
        "METIS_DIGIT": str(digits.seen),
        "METIS_PRICE": str(PRICE_WEI),
    }

    shown = forge(home, "test", "-vvv", **variables)

    assert "5 tests passed, 0 failed, 0 skipped" in shown


@pytest.mark.long
def test_titanoboa__contract_that_calls_a_model__is_tested_on_the_engine(digits: Digits, tmp_path: Path) -> None:
    boa = require("boa")
    script, game = CLIENTS / "boa" / "inference_client.pyw", CHECKOUT / "examples" / "digit_game" / "DigitGame.vy"
    paths = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)

    shown = run(
        boa, tmp_path, boa.python, script, digits.path, game, digits.image.hex(), str(digits.seen), PYTHONPATH=paths
    )

    assert "ok" in shown


@pytest.mark.long
def test_titanoboa_on_a_node__contract_that_calls_a_model__is_tried_as_the_node_does_it(
    node: RunningNode, digits: Digits, tmp_path: Path
) -> None:
    boa = require("boa")
    script, game = (
        CLIENTS / "boa" / "inference_network_client.pyw",
        CHECKOUT / "examples" / "digit_game" / "DigitGame.vy",
    )
    about = (digits.model_id.hex(), digits.image.hex(), str(digits.seen), str(PRICE_WEI))

    shown = run(boa, tmp_path, boa.python, script, node.http, game, *about, PYTHONPATH=CHECKOUT)

    assert "ok" in shown
