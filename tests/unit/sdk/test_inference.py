"""What a chain with inference has at genesis, and what docs/inference.md says of it."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from metis.engine import ChainSpec, keccak256
from metis.node.models import ACTIVATION_SCHEDULED
from metis.sdk import INFERENCE, MODEL_REGISTRY, VECTORS, ChainConstants, EthereumFees, InferenceConstants, Network
from metis.sdk.genesis import genesis_accounts, genesis_document
from metis.sdk.preset_file import read_preset
from metis.types import Account, Address, GenesisError

SEQUENCER = Address(bytes([7]) * 20)
PRESET = """
name = "mine"
[chain]
chain_id = 7
fork = "Osaka"
[chain.inference]
sequencer = "0x0707070707070707070707070707070707070707"
"""


@pytest.fixture
def document(checkout: Path) -> str:
    return (checkout / "docs" / "inference.md").read_text(encoding="utf-8")


def test_document__addresses__are_the_codes(document: str) -> None:
    table = document[document.index("## Addresses") : document.index("## Functions")]

    assert re.findall(r"`0x([0-9a-f]{40})`", table) == [INFERENCE.hex(), VECTORS.hex(), MODEL_REGISTRY.hex()]


def test_document__parameters__are_those_of_the_preset(document: str) -> None:
    constants = Network.from_preset("hyperion").chain.inference
    assert constants is not None

    rows = re.findall(r"^\| `([a-z_]+)` \| ([0-9,]+) \|", document, re.MULTILINE)

    expected = {name: value for name, value in dataclasses.asdict(constants).items() if name != "sequencer"}
    assert {name: int(value.replace(",", "")) for name, value in rows} == expected


def test_activation_topic__is_the_registrys_event(checkout: Path) -> None:
    artefact = json.loads((checkout / "metis" / "sdk" / "contracts" / "ModelRegistry.json").read_bytes())
    (event,) = (entry for entry in artefact["abi"] if entry["name"] == "ActivationScheduled")

    signature = f"{event['name']}({','.join(entry['type'] for entry in event['inputs'])})"

    assert keccak256(signature.encode()) == ACTIVATION_SCHEDULED


def test_genesis__with_inference__has_registry_and_rules() -> None:
    constants = ChainConstants(chain_id=7, inference=InferenceConstants(SEQUENCER, macs_per_gas=33))

    accounts = genesis_accounts(constants)
    document = genesis_document(constants, EthereumFees())

    assert accounts[INFERENCE].code == accounts[VECTORS].code == b"\xfe"
    assert accounts[MODEL_REGISTRY].storage[1] == int.from_bytes(SEQUENCER, "big")
    (step,) = document["config"]["metis"]["inference"]
    assert (step["fromBlock"], step["macsPerGas"]) == (0, 33)
    assert ChainSpec.from_genesis(json.dumps(document).encode()).chain_id == 7


def test_genesis__account_at_an_address_of_inference__is_refused() -> None:
    constants = ChainConstants(chain_id=7, accounts={VECTORS: Account()}, inference=InferenceConstants(SEQUENCER))

    with pytest.raises(GenesisError, match="of inference"):
        genesis_accounts(constants)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"macsPerGas": 0}, "macsPerGas"),
        ({"registry": "0x12"}, "registry"),
        ({"baseGas": -1}, "baseGas"),
        ({"baseGas": "1"}, "baseGas"),
        ({"colour": 1}, "colour"),
        ({"blockMacsMax": 1}, "transactionMacsMax"),
    ],
)
def test_chain_spec__bad_rule_of_inference__names_it(changes: dict[str, object], field: str) -> None:
    document = genesis_document(ChainConstants(chain_id=7, inference=InferenceConstants(SEQUENCER)), EthereumFees())
    document["config"]["metis"]["inference"][0] |= changes

    with pytest.raises(GenesisError, match=field):
        ChainSpec.from_genesis(json.dumps(document).encode())


def test_preset__table_of_inference__is_read_with_defaults() -> None:
    constants = read_preset(PRESET + "macs_per_gas = 5\n").chain.inference

    assert constants == InferenceConstants(SEQUENCER, macs_per_gas=5)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("macs_per_gas = 0", "chain.inference.macs_per_gas"),
        ("transaction_macs_max = 13_000_000_000", "chain.inference.transaction_macs_max"),
        ("colour = 1", "chain.inference.colour"),
    ],
)
def test_preset__bad_field_of_inference__is_named(line: str, field: str) -> None:
    with pytest.raises(GenesisError) as refused:
        read_preset(f"{PRESET}{line}\n")
    assert refused.value.field == field


def test_preset__sequencer_that_is_no_address__is_refused() -> None:
    with pytest.raises(GenesisError, match="no address"):
        read_preset(PRESET.replace("0707070707070707070707070707070707070707", "07"))
