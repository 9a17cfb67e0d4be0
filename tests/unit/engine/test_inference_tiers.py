"""Contracts that call models, in every mode of the virtual machine: one receipt, wherever it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from metis import engine
from metis.sdk import INFERENCE, MODEL_REGISTRY
from metis.types import Address
from metis.vm.eager import CompiledRun, compile_met
from tests.differential.assembler import deployer
from tests.unit.engine.inference_world import MODEL, OWNER, PEOPLE, SEQUENCER, USER, World, call_data, infer_data
from tests.unit.engine.inference_world import input_bytes as elements

INPUT = elements((1, 2, 3), (-4, 5, 100))
PRICE_WEI = 1_000
COMPILE_ROUNDS_MAX = 5

# How the nodes of these tests are made to differ; an executor of another kind is one more.
MODES = (None, "auto", "eager")


@dataclass(frozen=True)
class Call:
    """What a contract calls."""

    to: Address
    data: bytes
    value_wei: int = 0


def caller(calls: Sequence[Call]) -> bytes:
    """Code that makes calls, one after the other, and writes down at slot n whether the n-th succeeded, or 2."""
    # PUSH2 size, PUSH2 place, PUSH0, CODECOPY; then CALL with all gas; 2 - status into the slot.
    step = 8 + (1 + 1 + 3 + 1 + 33 + 21 + 1 + 1) + 6
    code, data = b"", b""
    begin = step * len(calls) + 1
    for slot, call in enumerate(calls):
        place = begin + len(data)
        size = b"\x61" + len(call.data).to_bytes(2, "big")
        code += size + b"\x61" + place.to_bytes(2, "big") + b"\x5f\x39"
        code += b"\x5f\x5f" + size + b"\x5f\x7f" + call.value_wei.to_bytes(32, "big") + b"\x73" + call.to + b"\x5a\xf1"
        code += bytes.fromhex("60020360") + bytes([slot]) + b"\x55"
        data += call.data
    assert len(code) + 1 == begin
    return code + b"\x00" + data


def deployed(world: World, calls: Sequence[Call], sender: int = USER) -> Address:
    """Such a contract on a chain, by a transaction."""
    receipt = world.send(sender, None, deployer(caller(calls)))
    assert receipt["status"] == "0x1"
    return Address(bytes.fromhex(receipt["contractAddress"][2:]))


def statuses(world: World, contract: Address, count: int) -> list[int]:
    """Of the contract's calls in the newest state: 1 for success, 2 for a revert."""
    return [world.node.storage(contract, slot, world.node.head_number) for slot in range(count)]


def active(registry: engine.CodeRegistry | None = None) -> World:
    world = World(registry=registry)
    world.register(price_wei=PRICE_WEI)
    world.activate()
    world.build()
    return world


def imported(world: World, other: World) -> World:
    for number in range(other.node.head_number + 1, world.node.head_number + 1):
        block = world.node.block(number)
        assert block is not None
        other.node.import_block(block)
    return other


@pytest.mark.parametrize("mode", MODES)
def test_contract_that_infers__in_every_mode__has_one_receipt_everywhere(mode: str | None) -> None:
    registry = None if mode is None else engine.CodeRegistry(mode, 1)
    world = active(registry)
    contract = deployed(
        world, [Call(INFERENCE, infer_data(INPUT), PRICE_WEI), Call(INFERENCE, infer_data(INPUT), PRICE_WEI - 1)]
    )

    # Twice: the first time writes to empty slots, which costs more.
    world.send(USER, contract, b"", 2 * PRICE_WEI)
    receipt = world.send(USER, contract, b"", 2 * PRICE_WEI)
    for _ in range(COMPILE_ROUNDS_MAX if registry is not None else 0):
        assert registry is not None
        if not compile_met(registry, 1, CompiledRun()):
            break
        receipt = world.send(USER, contract, b"", 2 * PRICE_WEI)
    if registry is not None:
        assert registry.counters()["compiled"] > 0, "nothing was compiled: the mode is not tested"
        receipt = world.send(USER, contract, b"", 2 * PRICE_WEI)

    assert (receipt["status"], receipt["inferenceFee"]) == ("0x1", hex(PRICE_WEI))
    assert statuses(world, contract, 2) == [1, 2]
    # Imported by a node that interprets, and by one that compiles.
    head = world.node.head_number
    for other in (World(), World(registry=engine.CodeRegistry("eager"))):
        imported(world, other)
        assert other.node.head_hash == world.node.head_hash
        assert other.node.block_receipts_json(head) == world.node.block_receipts_json(head)
    # Asked, estimated and traced.
    message = world.message(USER, contract, b"", 2 * PRICE_WEI)
    asked = world.node.call(message, head)
    kind, gas = world.node.estimate_gas(message, head)
    sent = bytes.fromhex(receipt["transactionHash"][2:])
    trace = json.loads(world.node.trace_transaction_json(sent, b'{"tracer":"callTracer"}', 1 << 20) or b"null")
    assert asked["status"] == "success"
    assert (kind, trace["gasUsed"]) == ("gas", receipt["gasUsed"])
    assert gas >= int(receipt["gasUsed"], 16)
    assert [call.get("error") for call in trace["calls"]] == [None, "execution reverted"]


def _owner_raises_the_price(contract_calls: Callable[[], Sequence[Call]]) -> tuple[World, Address]:
    world = active()
    contract = deployed(world, contract_calls(), OWNER)
    world.send(OWNER, MODEL_REGISTRY, call_data("set_owner(bytes32,address)", MODEL.id, contract))
    return world, contract


def test_attack__owner_changes_the_price_within_the_transaction__is_seen_by_the_next_call() -> None:
    raised = call_data("set_price(bytes32,uint256)", MODEL.id, 2 * PRICE_WEI)
    world, contract = _owner_raises_the_price(
        lambda: [
            Call(INFERENCE, infer_data(INPUT), PRICE_WEI),
            Call(MODEL_REGISTRY, raised),
            Call(INFERENCE, infer_data(INPUT), PRICE_WEI),
            Call(INFERENCE, infer_data(INPUT), 2 * PRICE_WEI),
        ]
    )

    receipt = world.send(USER, contract, b"", 10 * PRICE_WEI)

    assert statuses(world, contract, 4) == [1, 1, 2, 1]
    # The owner, which called, has what it paid.
    assert (receipt["inferenceFee"], world.balance(contract)) == (hex(3 * PRICE_WEI), 10 * PRICE_WEI)


def test_attack__reentered_contract_whose_frame_reverts__has_inferred_and_paid_nothing() -> None:
    world = active()
    inner = deployed(world, [Call(INFERENCE, infer_data(INPUT), PRICE_WEI)])
    # The outer one calls itself through what reverts: INVALID after the inner call.
    failing = world.send(USER, None, deployer(caller([Call(inner, b"", PRICE_WEI)])[:-1] + b"\xfe"))
    assert failing["status"] == "0x1"
    outer = deployed(world, [Call(inner, b"", PRICE_WEI), Call(INFERENCE, infer_data(INPUT)[:-1], PRICE_WEI)])
    before = world.balance(PEOPLE[OWNER])
    world.node.set_account(inner, 10 * PRICE_WEI, None, None)

    receipt = world.send(USER, outer, b"", 10 * PRICE_WEI)

    assert statuses(world, outer, 2) == [1, 2]
    assert len(receipt["logs"]) == 1
    assert world.balance(PEOPLE[OWNER]) == before + PRICE_WEI


def _status(world: World) -> int:
    info: dict[str, Any] = world.call(USER, INFERENCE, call_data("modelInfo(bytes32)", MODEL.id))
    return int.from_bytes(info["output"][:32], "big")


def test_activation__activated_ended_and_activated_again_across_a_reorganisation__is_that_of_each_branch() -> None:
    world = active()
    rival = imported(world, World())
    fork = world.node.head_number

    # Here it ends and begins again; there it only ends.
    for chain in (world, rival):
        chain.send(OWNER, MODEL_REGISTRY, call_data("deactivate(bytes32)", MODEL.id))
        for _ in range(3):
            chain.build()
        assert _status(chain) == 3
    world.send(USER, MODEL_REGISTRY, call_data("release(bytes32)", MODEL.id))
    world.activate()
    world.build()
    assert (_status(world), world.infer(INPUT, PRICE_WEI)["status"]) == (2, "0x1")

    longer = world.node.head_number - rival.node.head_number + 1
    for _ in range(longer):
        rival.build()
    branch = [rival.node.block(number) for number in range(fork + 1, rival.node.head_number + 1)]
    for block in branch:
        assert block is not None
        world.node.store_block(block)
    world.node.set_head(rival.node.head_hash)
    assert world.node.head_hash == rival.node.head_hash
    assert _status(world) == 3

    while world.node.pool_status()[0]:
        world.build()  # what the left branch had mined is mined again: released and activated, too late for the call
    for _ in range(3):
        world.build()
    assert (_status(world), world.infer(INPUT, PRICE_WEI)["status"]) == (2, "0x1")
    third = imported(world, World())
    assert third.node.head_hash == world.node.head_hash
    assert PEOPLE[SEQUENCER] != PEOPLE[OWNER]
