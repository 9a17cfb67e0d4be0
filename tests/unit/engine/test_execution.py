"""Running transactions and code without a block."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from metis import engine
from metis.engine import ChainSpec
from metis.types import BlockNumber, DecodeError, Gas, InvalidTransaction, Log, Wei
from tests.unit.engine.small_world import ALICE, BOB, ENVIRONMENT, LOGGER, SPEC, STOPPER, open_world, transfer


def test_transaction__a_transfer__succeeds_and_leaves_the_store_alone() -> None:
    store = open_world()
    before = store.state_root()

    outcome = engine.execute_transaction(store, SPEC, ENVIRONMENT, transfer())

    assert (outcome.status, outcome.halt_reason, outcome.gas_used) == ("success", None, 21_000)
    assert outcome.state_root != before
    assert (store.state_root(), store.block_number) == (before, 0)


def test_transaction__a_log__is_in_the_outcome() -> None:
    call = transfer(to=LOGGER, value_wei=Wei(0), data=b"hello")

    outcome = engine.execute_transaction(open_world(), SPEC, ENVIRONMENT, call)

    assert outcome.logs == (Log(LOGGER, ((7).to_bytes(32, "big"),), b"hello"),)  # type: ignore[arg-type]


def test_transaction__that_reverts__is_a_result_with_its_data() -> None:
    call = transfer(to=STOPPER, value_wei=Wei(0), data=b"no")

    outcome = engine.execute_transaction(open_world(), SPEC, ENVIRONMENT, call)

    assert (outcome.status, outcome.output, outcome.logs) == ("revert", b"no", ())
    assert outcome.gas_used < 100_000


def test_transaction__that_halts__is_a_result_and_all_gas_is_gone() -> None:
    call = transfer(to=STOPPER, value_wei=Wei(0))

    outcome = engine.execute_transaction(open_world(), SPEC, ENVIRONMENT, call)

    assert (outcome.status, outcome.gas_used) == ("halt", 100_000)
    assert outcome.halt_reason


def test_transaction__that_creates_a_contract__has_its_address_and_code() -> None:
    # PUSH1 0xfe PUSH0 MSTORE8 PUSH1 1 PUSH0 RETURN
    create = transfer(to=None, value_wei=Wei(0), data=bytes.fromhex("60fe5f5360015ff3"))

    outcome = engine.execute_transaction(open_world(), SPEC, ENVIRONMENT, create)

    assert (outcome.status, outcome.output) == ("success", b"\xfe")
    assert outcome.contract_address is not None


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"nonce": 1}, "nonce-too-high", "nonce"),
        ({"sender": BOB, "nonce": 1}, "nonce-too-high", "nonce"),
        ({"value_wei": Wei(10**18 + 1)}, "insufficient-funds", "sender"),
        ({"gas_limit": Gas(20_999)}, "intrinsic-gas-too-low", "gas_limit"),
        ({"gas_limit": Gas(1_000_001)}, "gas-limit-above-block", "gas_limit"),
        ({"chain_id": 2}, "wrong-chain-id", "chain_id"),
    ],
)
def test_transaction__that_may_not_run__is_refused_with_the_rule(
    change: dict[str, Any], reason: str, field: str
) -> None:
    with pytest.raises(InvalidTransaction) as caught:
        engine.execute_transaction(open_world(), SPEC, ENVIRONMENT, transfer(**change))

    assert (caught.value.reason, caught.value.field, caught.value.index) == (reason, field, None)


def test_transaction__traced__has_a_line_of_json_per_step_and_the_same_outcome() -> None:
    lines: list[bytes] = []
    call = transfer(to=LOGGER, value_wei=Wei(0), data=b"hello")

    traced = engine.execute_transaction(open_world(), SPEC, ENVIRONMENT, call, trace=lines.append)

    steps = [json.loads(line) for line in lines]
    assert [step["pc"] for step in steps if "pc" in step] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert traced == engine.execute_transaction(open_world(), SPEC, ENVIRONMENT, call)


def test_transaction__a_tracer_that_fails__its_error_comes_back_and_the_store_is_unchanged() -> None:
    class Stop(Exception):
        pass

    def stop(line: bytes) -> None:
        raise Stop

    store = open_world()
    before = store.state_root()

    with pytest.raises(Stop):
        engine.execute_transaction(store, SPEC, ENVIRONMENT, transfer(to=LOGGER), trace=stop)

    assert store.state_root() == before


def test_environment__a_field_out_of_range__is_named() -> None:
    with pytest.raises(DecodeError) as caught:
        engine.execute_transaction(open_world(), SPEC, replace(ENVIRONMENT, gas_limit=Gas(2**64)), transfer())

    assert caught.value.field == "gas_limit"


def test_transactions__in_order__each_sees_what_the_ones_before_did() -> None:
    store = open_world()

    outcome = engine.execute_transactions(store, SPEC, ENVIRONMENT, [transfer(nonce=nonce) for nonce in range(3)])

    assert [receipt.cumulative_gas_used for receipt in outcome.receipts] == [21_000, 42_000, 63_000]
    assert [receipt.gas_used for receipt in outcome.receipts] == [21_000] * 3
    assert outcome.gas_used == 63_000
    assert store.block_number == 0


def test_transactions__committed__are_the_stores_newest_block() -> None:
    store = open_world()

    outcome = engine.execute_transactions(store, SPEC, ENVIRONMENT, [transfer()], commit=True)

    assert (store.block_number, store.state_root()) == (1, outcome.state_root)
    bob = engine.account_state(store, BOB)
    assert bob is not None
    assert bob.balance_wei == 1


def test_transactions__none__has_the_empty_roots() -> None:
    outcome = engine.execute_transactions(open_world(), SPEC, ENVIRONMENT, [])

    empty = engine.keccak256(b"\x80")
    assert (outcome.receipts_root, outcome.transactions_root) == (empty, empty)
    assert (outcome.logs_bloom, outcome.gas_used) == (bytes(256), 0)


def test_transactions__one_may_not_run__error_has_its_index_and_nothing_is_kept() -> None:
    store = open_world()
    before = store.state_root()

    with pytest.raises(InvalidTransaction) as caught:
        engine.execute_transactions(store, SPEC, ENVIRONMENT, [transfer(), transfer()], commit=True)

    assert (caught.value.reason, caught.value.index) == ("nonce-too-low", 1)
    assert (store.state_root(), store.block_number) == (before, 0)


def test_transactions__of_more_gas_than_the_block_has__are_refused() -> None:
    transactions = [transfer(nonce=nonce, gas_limit=Gas(600_000), to=STOPPER) for nonce in range(2)]

    with pytest.raises(InvalidTransaction) as caught:
        engine.execute_transactions(open_world(), SPEC, ENVIRONMENT, transactions)

    assert (caught.value.reason, caught.value.index) == ("gas-limit-above-block", 1)


def test_transaction__above_the_cap_per_transaction__runs_only_without_it() -> None:
    large = replace(ENVIRONMENT, gas_limit=Gas(30_000_000))
    transaction = transfer(gas_limit=Gas(16_777_217))

    with pytest.raises(InvalidTransaction) as caught:
        engine.execute_transaction(open_world(), SPEC, large, transaction)
    outcome = engine.execute_transaction(open_world(), SPEC.without_transaction_gas_limit_cap(), large, transaction)

    assert caught.value.reason == "gas-limit-above-cap"
    assert outcome.status == "success"


def test_code__that_adds__returns_the_sum_and_costs_its_gas() -> None:
    # PUSH1 2 PUSH1 3 ADD PUSH0 MSTORE PUSH1 32 PUSH0 RETURN
    outcome = engine.run_code(SPEC, bytes.fromhex("60026003015f5260205ff3"), gas_limit=Gas(100))

    assert (outcome.status, int.from_bytes(outcome.output, "big")) == ("success", 5)
    assert outcome.gas_used == 3 + 3 + 3 + 2 + (3 + 3) + 3 + 2


def test_code__with_calldata_and_value__sees_them() -> None:
    # PUSH0 CALLDATALOAD CALLVALUE ADD PUSH0 MSTORE PUSH1 32 PUSH0 RETURN
    code = bytes.fromhex("5f3534015f5260205ff3")

    outcome = engine.run_code(SPEC, code, (40).to_bytes(32, "big"), gas_limit=Gas(1_000), value_wei=Wei(2))

    assert int.from_bytes(outcome.output, "big") == 42


def test_code__without_enough_gas__halts() -> None:
    outcome = engine.run_code(SPEC, bytes.fromhex("5b5f56"), gas_limit=Gas(100_000))

    assert (outcome.status, outcome.halt_reason, outcome.gas_used) == ("halt", "out-of-gas", 100_000)


def test_code__asking_for_a_block_hash__gets_zero() -> None:
    """The empty world of ``run_code`` has no ancestors."""
    # PUSH0 BLOCKHASH PUSH0 MSTORE PUSH1 32 PUSH0 RETURN
    outcome = engine.run_code(SPEC, bytes.fromhex("5f405f5260205ff3"), gas_limit=Gas(1_000))

    assert (outcome.status, outcome.output) == ("success", bytes(32))


def test_code__of_a_newer_fork__is_an_invalid_opcode_before_it() -> None:
    # PUSH1 1 CLZ (EIP-7939)
    code = bytes.fromhex("60011e00")

    assert engine.run_code(SPEC, code, gas_limit=Gas(100)).status == "success"
    assert engine.run_code(ChainSpec.at_fork("Prague"), code, gas_limit=Gas(100)).status == "halt"


def test_store__read_while_blocks_are_committed__readers_see_whole_blocks() -> None:
    """Readers in threads see Bob's balance equal to the block number, never something between."""
    store = open_world()
    torn: list[tuple[int, int]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            number = store.block_number
            bob = engine.account_state(store, BOB, number)
            balance = bob.balance_wei if bob is not None else 0
            if balance != number:
                torn.append((number, balance))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for nonce in range(100):
        environment = replace(ENVIRONMENT, number=BlockNumber(nonce + 1))
        engine.execute_transactions(store, SPEC, environment, [transfer(nonce=nonce)], commit=True)
    done.set()
    for reader in readers:
        reader.join()

    assert torn == []
    assert engine.account_state(store, ALICE, 100) is not None
