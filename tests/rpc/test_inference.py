"""Models on a running node: published, called, waited for."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from metis.ai import ModelFile, save
from metis.sdk import INFERENCE
from tests.rpc.control_world import CONTRACTS, FIRST, deploy, send
from tests.rpc.running_node import PROMPT_S, Client, RunningNode, running_node
from tests.unit.engine.inference_world import MODEL, answer, call_data, infer_data, input_bytes

INPUT = input_bytes((1, 2, 3), (-4, 5, 100))
MODEL_NOT_HERE = -32002


def _call(client: Client, data: bytes) -> dict[str, Any]:
    return client.answer("eth_call", {"to": f"0x{INFERENCE.hex()}", "data": f"0x{data.hex()}"}, "latest")


def publish(environment: dict[str, str], model: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "metis.cli", "ai", "publish", str(model), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=PROMPT_S)
    assert done.returncode == 0, (done.stdout, done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.model"
    save(ModelFile.of(MODEL), path)
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user's folders of a test's own."""
    return {"METIS_MODELS": str(tmp_path / "store"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def node(environment: dict[str, str]) -> Iterator[RunningNode]:
    with running_node(environment=environment) as node:
        yield node


@pytest.fixture
def client(node: RunningNode) -> Iterator[Client]:
    with contextlib.closing(node.client()) as client:
        yield client


def test_publish__on_a_development_node__makes_the_model_callable(
    model: Path, environment: dict[str, str], node: RunningNode, client: Client
) -> None:
    report = publish(environment, model, "--rpc", node.http)
    client.ask("anvil_mine", hex(report["active_from"]))

    assert report["model_id"] == f"0x{MODEL.id.hex()}"
    assert report["owner"] == f"0x{node.addresses[0].hex()}"
    assert decode(["bytes"], bytes.fromhex(_call(client, infer_data(INPUT))["result"][2:])) == (answer(INPUT),)
    # Once more changes nothing.
    assert publish(environment, model, "--rpc", node.http) == report


def test_call__model_is_in_no_store__says_so_and_goes_on_when_it_is(
    model: Path, environment: dict[str, str], tmp_path: Path, node: RunningNode, client: Client
) -> None:
    elsewhere = {**environment, "METIS_MODELS": str(tmp_path / "elsewhere")}
    report = publish(elsewhere, model, "--rpc", node.http)
    client.ask("anvil_mine", hex(report["active_from"]))

    refused = _call(client, infer_data(INPUT))["error"]
    assert refused["code"] == MODEL_NOT_HERE
    assert MODEL.id.hex() in refused["message"]
    sender = f"0x{node.addresses[1].hex()}"
    transaction = {"from": sender, "to": f"0x{INFERENCE.hex()}", "data": f"0x{infer_data(INPUT).hex()}"}
    sent = client.answer("eth_sendTransaction", {**transaction, "gas": hex(1_000_000)})
    assert sent["error"]["code"] == MODEL_NOT_HERE
    assert client.ask("txpool_status")["pending"] == "0x1"

    publish(environment, model, "--rpc", "")
    assert decode(["bytes"], bytes.fromhex(_call(client, infer_data(INPUT))["result"][2:])) == (answer(INPUT),)
    client.ask("anvil_mine", "0x1")
    assert client.ask("eth_getTransactionCount", sender, "latest") == "0x1"


def test_contract_in_vyper__taught_two_answers__gives_the_nearest(
    model: Path, environment: dict[str, str], node: RunningNode, client: Client
) -> None:
    report = publish(environment, model, "--rpc", node.http)
    client.ask("anvil_mine", hex(report["active_from"]))
    artefact = json.loads((CONTRACTS / "NearestAnswer.json").read_bytes())
    int32 = 3
    creation = artefact["bytecode"] + encode(["bytes32", "uint8"], [MODEL.id, int32]).hex()
    contract = deploy(client, creation)

    def sent(data: bytes) -> dict[str, Any]:
        return send(client, to=contract, value="0x0", data=f"0x{data.hex()}")

    for given, text in ((input_bytes((9, 0, 0), (9, 0, 0)), "first"), (input_bytes((0, 0, 9), (0, 0, 9)), "second")):
        receipt = sent(call_data("teach(bytes,string)", given, text))
        assert (receipt["status"], len(receipt["logs"])) == ("0x1", 1)
    near_second = call_data("ask(bytes)", input_bytes((1, 0, 8), (0, 1, 7)))
    asked = client.ask("eth_call", {"from": FIRST, "to": contract, "data": f"0x{near_second.hex()}"}, "latest")

    assert decode(["string"], bytes.fromhex(asked[2:])) == ("second",)
    assert len(sent(near_second)["logs"]) == 2


def test_restart__chain_with_a_model__has_it_again(model: Path, environment: dict[str, str], tmp_path: Path) -> None:
    options = ("--data-dir", str(tmp_path / "data"))
    with running_node(*options, environment=environment) as node, contextlib.closing(node.client()) as client:
        report = publish(environment, model, "--rpc", node.http)
        client.ask("anvil_mine", hex(report["active_from"]))

    with running_node(*options, environment=environment) as node, contextlib.closing(node.client()) as client:
        found = bytes.fromhex(_call(client, infer_data(INPUT))["result"][2:])
        assert decode(["bytes"], found) == (answer(INPUT),)
        info = bytes.fromhex(_call(client, call_data("modelInfo(bytes32)", MODEL.id))["result"][2:])
        assert info[31] == 2
