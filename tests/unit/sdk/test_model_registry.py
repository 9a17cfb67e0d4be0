"""The registry of models: who may register, price and activate what, and when it takes effect."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from metis import engine
from metis.sdk import MODEL_REGISTRY, InferenceConstants, MemoryStateStore
from metis.sdk.inference import inference_accounts
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

SEQUENCER, OWNER, OTHER = (Address(bytes([7]) * 19 + bytes([index])) for index in range(3))
MODEL, SALT = bytes([0xAA]) * 32, bytes([0x55]) * 32
CONSTANTS = InferenceConstants(SEQUENCER, activation_delay_blocks=3, active_bytes_max=1_000)
SPEC = engine.ChainSpec.at_fork("Osaka")
ABI = json.loads((resources.files("metis.sdk") / "contracts" / "ModelRegistry.json").read_bytes())["abi"]


def _types(entries: list[dict[str, Any]]) -> list[str]:
    return [
        f"({','.join(_types(entry['components']))})" if entry["type"] == "tuple" else entry["type"] for entry in entries
    ]


class Registry:
    """The registry at genesis, with blocks of one transaction each."""

    def __init__(self) -> None:
        people = {person: Account(balance_wei=Wei(10**18)) for person in (SEQUENCER, OWNER, OTHER)}
        self.store = MemoryStateStore().open({**inference_accounts(CONSTANTS), **people})
        self.functions = {entry["name"]: entry for entry in ABI if entry["type"] == "function"}

    @property
    def block(self) -> int:
        """The newest block."""
        return self.store.block_number

    def send(self, sender: Address, function: str, *values: Any) -> Receipt:
        environment = BlockEnvironment(number=BlockNumber(self.block + 1))
        handle = self._handle(sender, function, values)
        return engine.execute_transactions(self.store, SPEC, environment, [handle], commit=True).receipts[0]

    def refused(self, sender: Address, function: str, *values: Any) -> str:
        """Why a call reverts."""
        outcome = self._outcome(sender, function, values)
        assert outcome.status == "revert"
        return str(decode(["string"], outcome.output[4:])[0])

    def read(self, function: str, *values: Any) -> Any:
        outcome = self._outcome(OTHER, function, values)
        assert outcome.status == "success"
        return decode(_types(self.functions[function]["outputs"]), outcome.output)[0]

    def pass_blocks(self, count: int) -> None:
        for _ in range(count):
            environment = BlockEnvironment(number=BlockNumber(self.block + 1))
            engine.execute_transactions(self.store, SPEC, environment, [], commit=True)

    def register(self, owner: Address = OWNER, price_wei: int = 5) -> None:
        self.send(owner, "commit", _commitment(owner))
        assert self.send(owner, "register", MODEL, price_wei, "file:///models", SALT).success

    def _outcome(self, sender: Address, function: str, values: tuple[Any, ...]) -> TransactionOutcome:
        environment = BlockEnvironment(number=BlockNumber(self.block + 1))
        return engine.execute_transaction(self.store, SPEC, environment, self._handle(sender, function, values))

    def _handle(self, sender: Address, function: str, values: tuple[Any, ...]) -> engine.TransactionHandle:
        types = _types(self.functions[function]["inputs"])
        selector = engine.keccak256(f"{function}({','.join(types)})".encode())[:4]
        account = engine.account_state(self.store, sender)
        nonce = account.nonce if account is not None else 0
        data = selector + encode(types, values)
        return engine.unsigned_transaction(
            UnsignedTransaction(sender, nonce, Gas(2_000_000), Wei(0), to=MODEL_REGISTRY, data=data)
        )


def _commitment(owner: Address, model: bytes = MODEL, salt: bytes = SALT) -> bytes:
    return engine.keccak256(encode(["bytes32", "address", "bytes32"], [model, owner, salt]))


@pytest.fixture
def registry() -> Registry:
    return Registry()


def test_register__committed_a_block_before__is_the_owners(registry: Registry) -> None:
    registry.register()

    owner, price_wei, active_from, active_until, size_bytes, uri = registry.read("models", MODEL)
    assert (bytes.fromhex(owner[2:]), price_wei, uri) == (OWNER, 5, "file:///models")
    assert (active_from, active_until, size_bytes) == (0, 0, 0)


def test_register__id_seen_in_a_waiting_transaction__cannot_be_taken_by_who_saw_it(registry: Registry) -> None:
    registry.send(OWNER, "commit", _commitment(OWNER))
    # The owner's `register` waits; somebody else reads model and salt in it.
    assert registry.refused(OTHER, "register", MODEL, 1, "", SALT) == "commit first, a block before"
    registry.send(OTHER, "commit", _commitment(OTHER))

    assert registry.send(OWNER, "register", MODEL, 5, "", SALT).success
    assert registry.refused(OTHER, "register", MODEL, 1, "", SALT) == "registered before"


def test_commit__repeated_by_somebody_else__keeps_the_first(registry: Registry) -> None:
    registry.send(OTHER, "commit", _commitment(OWNER))

    assert registry.refused(OWNER, "commit", _commitment(OWNER)) == "committed before"
    assert registry.send(OWNER, "register", MODEL, 5, "", SALT).success


def test_owner_functions__somebody_else__are_refused(registry: Registry) -> None:
    registry.register()

    for function, value in (("set_price", 1), ("set_uri", "x"), ("set_owner", OTHER)):
        assert registry.refused(OTHER, function, MODEL, value) == "only the owner"
        assert registry.refused(SEQUENCER, function, MODEL, value) == "only the owner"
    assert registry.refused(OTHER, "deactivate", MODEL) == "only sequencer and owner"
    assert registry.refused(OWNER, "activate", MODEL, 10) == "only the sequencer"
    assert registry.refused(OWNER, "set_sequencer", OWNER) == "only the sequencer"


def test_activate__by_the_sequencer__takes_effect_after_the_delay(registry: Registry) -> None:
    registry.register()

    registry.send(SEQUENCER, "activate", MODEL, 400)

    assert registry.read("models", MODEL)[2] == registry.block + 3
    assert registry.read("active_bytes") == 400


def test_activate__more_bytes_than_the_chain_allows__is_refused(registry: Registry) -> None:
    registry.register()

    assert registry.refused(SEQUENCER, "activate", MODEL, 1_001) == "too many bytes are active"
    assert registry.refused(SEQUENCER, "activate", MODEL, 0) == "a model has bytes"
    assert registry.refused(SEQUENCER, "activate", bytes(32), 10) == "not registered"


def test_deactivate__then_released__can_be_activated_again(registry: Registry) -> None:
    registry.register()
    registry.send(SEQUENCER, "activate", MODEL, 400)
    assert registry.refused(OTHER, "release", MODEL) == "not deactivated"

    registry.pass_blocks(3)
    registry.send(OWNER, "deactivate", MODEL)
    active_until = registry.read("models", MODEL)[3]
    assert active_until == registry.block + 3
    assert registry.refused(SEQUENCER, "activate", MODEL, 400) == "activated before; release it first"
    assert registry.refused(SEQUENCER, "deactivate", MODEL) == "deactivated before"

    registry.pass_blocks(2)
    registry.send(OTHER, "release", MODEL)
    assert registry.block == active_until
    assert registry.read("active_bytes") == 0
    assert registry.send(SEQUENCER, "activate", MODEL, 500).success


def test_deactivate__before_it_is_active__ends_after_its_beginning(registry: Registry) -> None:
    registry.register()
    registry.send(SEQUENCER, "activate", MODEL, 400)

    registry.send(SEQUENCER, "deactivate", MODEL)

    _, _, active_from, active_until, *_ = registry.read("models", MODEL)
    assert active_until == active_from + 3


def test_set_owner__to_another__hands_everything_on(registry: Registry) -> None:
    registry.register()

    registry.send(OWNER, "set_owner", MODEL, OTHER)

    assert registry.refused(OWNER, "set_price", MODEL, 1) == "only the owner"
    assert registry.send(OTHER, "set_price", MODEL, 1).success
    assert registry.refused(OTHER, "set_owner", MODEL, bytes(20)) == "nobody cannot own a model"
