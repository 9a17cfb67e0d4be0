"""The compiled contracts that Metis ships are those of their sources, and do what they say."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from metis import engine
from metis.cli.contract_files import Contract, load_contract
from metis.engine import MemoryStore
from metis.sdk import MemoryStateStore
from metis.types import (
    Account,
    Address,
    BlockEnvironment,
    BlockNumber,
    Gas,
    Receipt,
    TransactionOutcome,
    UnsignedTransaction,
    Wei,
)
from tests.rpc.client_programs import CLIENTS, require

ARTEFACTS = {
    "Token": "metis/cli/contracts",
    "SmartAccount": "metis/cli/contracts",
    "NearestAnswer": "metis/cli/contracts",
    "DigitBounty": "metis/cli/contracts",
    "ModelRegistry": "metis/sdk/contracts",
}
PEOPLE = tuple(Address(bytes([1]) * 19 + bytes([index])) for index in range(3))
SUPPLY = 1_000
SPEC = engine.ChainSpec.at_fork("Osaka")


def _artefact(checkout: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((checkout / ARTEFACTS[name] / f"{name}.json").read_bytes())
    return document


@pytest.fixture(scope="module")
def compile_contracts(checkout: Path) -> ModuleType:
    """The script that makes the artefacts."""
    spec = importlib.util.spec_from_file_location("compile_contracts", checkout / "examples" / "compile_contracts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def vyper(checkout: Path) -> str:
    """The compiler: METIS_VYPER, or the environment the script's help recommends, or the path."""
    own = checkout / "build" / "vyper" / "bin" / "vyper"
    found = os.environ.get("METIS_VYPER") or (str(own) if own.is_file() else shutil.which("vyper"))
    if found is None:
        pytest.skip("no vyper: set METIS_VYPER, or see examples/compile_contracts.py")
    version = subprocess.run([found, "--version"], check=True, capture_output=True, text=True).stdout
    if not version.startswith("0.4.3"):
        pytest.skip(f"vyper {version.strip()} is not 0.4.3")
    return found


@pytest.mark.parametrize("name", ARTEFACTS)
def test_artefact__of_every_contract__is_of_the_source_as_it_is_now(checkout: Path, name: str) -> None:
    artefact = _artefact(checkout, name)

    source = (checkout / artefact["source"]).read_bytes()

    assert artefact["source_sha256"] == hashlib.sha256(source).hexdigest()


@pytest.mark.parametrize("name", [name for name in ARTEFACTS if name != "DigitBounty"])
def test_artefact__compiled_again__is_the_same(
    checkout: Path, name: str, vyper: str, compile_contracts: ModuleType
) -> None:
    artefact = _artefact(checkout, name)

    assert compile_contracts.compile_contract(vyper, artefact["source"]) == artefact


def test_artefact__in_solidity_compiled_again__is_the_same(
    checkout: Path, compile_contracts: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact = _artefact(checkout, "DigitBounty")
    monkeypatch.setenv("NODE_PATH", str(require("foundry").packages))

    assert compile_contracts.compile_solidity(str(CLIENTS / "foundry" / "solc"), artefact["source"]) == artefact


class Deployed:
    """A contract on a store, with blocks of one transaction each."""

    def __init__(self, contract: Contract, arguments: bytes = b"") -> None:
        self.store: MemoryStore = MemoryStateStore().open(
            {person: Account(balance_wei=Wei(10**18)) for person in PEOPLE}
        )
        receipt = self.send(0, None, contract.bytecode + arguments)
        assert receipt.contract_address is not None
        self.address = receipt.contract_address

    def send(self, sender: int, to: Address | None, data: bytes, value_wei: int = 0) -> Receipt:
        number = self.store.block_number + 1
        outcome = engine.execute_transactions(
            self.store,
            SPEC,
            BlockEnvironment(number=BlockNumber(number)),
            [self._transaction(sender, to, data, value_wei)],
            commit=True,
        )
        return outcome.receipts[0]

    def try_call(self, sender: int, data: bytes, to: Address | None = None) -> TransactionOutcome:
        transaction = self._transaction(sender, to or self.address, data, 0)
        return engine.execute_transaction(self.store, SPEC, BlockEnvironment(), transaction)

    def _transaction(self, sender: int, to: Address | None, data: bytes, value_wei: int) -> engine.TransactionHandle:
        account = engine.account_state(self.store, PEOPLE[sender])
        nonce = account.nonce if account is not None else 0
        unsigned = UnsignedTransaction(
            PEOPLE[sender], nonce, Gas(2_000_000), Wei(0), to=to, value_wei=Wei(value_wei), data=data
        )
        return engine.unsigned_transaction(unsigned)


@pytest.fixture
def token() -> Deployed:
    return Deployed(load_contract("Token"), encode(["uint256"], [SUPPLY]))


def _call(function: str, types: list[str], values: list[Any]) -> bytes:
    return engine.keccak256(f"{function}({','.join(types)})".encode())[:4] + encode(types, values)


def _balances(token: Deployed) -> list[int]:
    outcomes = [token.try_call(0, _call("balanceOf", ["address"], [person])) for person in PEOPLE]
    return [decode(["uint256"], outcome.output)[0] for outcome in outcomes]


def _reason(outcome: TransactionOutcome) -> str:
    assert outcome.status == "revert"
    (reason,) = decode(["string"], outcome.output[4:])
    return str(reason)


def test_token__deployed__its_supply_is_the_deployers(token: Deployed) -> None:
    assert _balances(token) == [SUPPLY, 0, 0]
    supply = token.try_call(0, _call("totalSupply", [], []))
    assert decode(["uint256"], supply.output) == (SUPPLY,)


def test_token__transfer__moves_tokens_and_logs_it(token: Deployed) -> None:
    receipt = token.send(0, token.address, _call("transfer", ["address", "uint256"], [PEOPLE[1], 300]))

    assert _balances(token) == [700, 300, 0]
    (log,) = receipt.logs
    assert log.topics == (
        engine.keccak256(b"Transfer(address,address,uint256)"),
        bytes(12) + PEOPLE[0],
        bytes(12) + PEOPLE[1],
    )
    assert decode(["uint256"], log.data) == (300,)


def test_token__transfer_of_more_than_there_is__reverts(token: Deployed) -> None:
    outcome = token.try_call(1, _call("transfer", ["address", "uint256"], [PEOPLE[0], 1]))

    assert _reason(outcome) == "token: insufficient balance"


def test_token__transfer_to_nobody__reverts(token: Deployed) -> None:
    outcome = token.try_call(0, _call("transfer", ["address", "uint256"], [bytes(20), 1]))

    assert _reason(outcome) == "token: no receiver"


def test_token__transfer_to_oneself__changes_nothing(token: Deployed) -> None:
    token.send(0, token.address, _call("transfer", ["address", "uint256"], [PEOPLE[0], SUPPLY]))

    assert _balances(token) == [SUPPLY, 0, 0]


def test_token__spending_an_allowance__uses_it_up(token: Deployed) -> None:
    token.send(0, token.address, _call("approve", ["address", "uint256"], [PEOPLE[1], 50]))
    spend = _call("transferFrom", ["address", "address", "uint256"], [PEOPLE[0], PEOPLE[2], 30])
    token.send(1, token.address, spend)

    assert _balances(token) == [970, 0, 30]
    assert _reason(token.try_call(1, spend)) == "token: insufficient allowance"


def test_token__spending_without_allowance__reverts(token: Deployed) -> None:
    spend = _call("transferFrom", ["address", "address", "uint256"], [PEOPLE[0], PEOPLE[1], 1])

    assert _reason(token.try_call(1, spend)) == "token: insufficient allowance"


def test_smart_account__asked_by_somebody_else__reverts() -> None:
    account = Deployed(load_contract("SmartAccount"))
    execute = _call("execute", ["(address,uint256,bytes)[]"], [[(PEOPLE[0], 1, b"")]])

    assert _reason(account.try_call(1, execute)) == "smart account: not the account itself"


def test_smart_account__sent_coins__takes_them() -> None:
    account = Deployed(load_contract("SmartAccount"))

    receipt = account.send(0, account.address, b"", value_wei=5)

    assert receipt.success
    state = engine.account_state(account.store, account.address)
    assert state is not None
    assert state.balance_wei == 5
