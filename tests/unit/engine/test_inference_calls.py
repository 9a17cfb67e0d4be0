"""Calls of models through a node: the same everywhere, paid for, and never without the model."""

from __future__ import annotations

import json

import pytest
from eth_abi.abi import decode, encode

from metis import engine
from metis.ai import encode_graph
from metis.sdk import INFERENCE, MODEL_REGISTRY, VECTORS
from metis.sdk.inference import gas_of_run
from metis.types import Address, ModelUnavailable
from tests.unit.engine.inference_world import (
    CONSTANTS,
    DELAY,
    MODEL,
    OWNER,
    PEOPLE,
    SEQUENCER,
    USER,
    World,
    answer,
    call_data,
    infer_data,
    input_bytes,
)

INPUT = input_bytes((1, 2, 3), (-4, 5, 100))
INFERRED = engine.keccak256(b"Inferred(bytes32,address,address,bytes32,bytes32,uint64,uint256)").hex()


@pytest.fixture
def world() -> World:
    """A chain in whose newest block the model is active, and free."""
    world = World()
    world.register()
    world.activate()
    world.build()
    return world


def _status(world: World) -> int:
    info = world.call(USER, INFERENCE, call_data("modelInfo(bytes32)", MODEL.id))
    return int.from_bytes(info["output"][:32], "big")


def test_infer__by_call_and_transaction__gives_the_reference_evaluators_bytes(world: World) -> None:
    asked = world.call(USER, INFERENCE, infer_data(INPUT))
    receipt = world.infer(INPUT)

    assert decode(["bytes"], asked["output"]) == (answer(INPUT),)
    (log,) = receipt["logs"]
    assert log["address"] == f"0x{INFERENCE.hex()}"
    assert log["topics"] == [
        f"0x{INFERRED}",
        f"0x{MODEL.id.hex()}",
        f"0x{PEOPLE[OWNER].rjust(32, bytes(1)).hex()}",
        f"0x{PEOPLE[USER].rjust(32, bytes(1)).hex()}",
    ]
    hashes = [engine.keccak256(INPUT), engine.keccak256(answer(INPUT))]
    macs = int.from_bytes(bytes.fromhex(log["data"][2:])[64:96], "big")
    assert bytes.fromhex(log["data"][2:]) == encode(["bytes32", "bytes32", "uint64", "uint256"], [*hashes, macs, 0])
    assert (receipt["computeUnits"], receipt["inferenceFee"]) == (hex(macs), "0x0")


def test_infer__imported_by_another_node__has_the_same_receipts(world: World) -> None:
    world.infer(INPUT)
    other = World()

    for number in range(1, world.node.head_number + 1):
        block = world.node.block(number)
        assert block is not None
        other.node.import_block(block)

    assert other.node.head_hash == world.node.head_hash
    head = world.node.head_number
    assert other.node.block_receipts_json(head) == world.node.block_receipts_json(head)


def test_infer__traced_and_estimated__needs_the_gas_of_its_receipt(world: World) -> None:
    kind, gas = world.node.estimate_gas(world.message(USER, INFERENCE, infer_data(INPUT)), world.node.head_number)
    sent = world.submit(USER, INFERENCE, infer_data(INPUT), gas_limit=gas)
    world.build()
    receipt = world.receipt(sent)

    assert (kind, receipt["status"]) == ("gas", "0x1")
    trace = json.loads(world.node.trace_transaction_json(sent, b'{"tracer":"callTracer"}', 1 << 20) or b"null")
    assert (trace["gasUsed"], trace["output"]) == (receipt["gasUsed"], f"0x{encode(['bytes'], [answer(INPUT)]).hex()}")


def test_infer__gas_one_below_what_it_uses__fails_without_a_log(world: World) -> None:
    gas_used = int(world.infer(INPUT)["gasUsed"], 16)

    enough = world.send(USER, INFERENCE, infer_data(INPUT), gas_limit=gas_used)
    receipt = world.send(USER, INFERENCE, infer_data(INPUT), gas_limit=gas_used - 1)

    assert enough["status"] == "0x1"
    assert (receipt["status"], receipt["logs"]) == ("0x0", [])
    assert "computeUnits" not in receipt


def test_import__node_without_the_model__stops_and_goes_on_when_it_is_there(world: World) -> None:
    world.infer(INPUT)
    other = World(has_model=False)
    blocks = [world.node.block(number) for number in range(1, world.node.head_number + 1)]
    for block in blocks[:-1]:
        assert block is not None
        other.node.import_block(block)
    assert blocks[-1] is not None

    with pytest.raises(ModelUnavailable) as missing:
        other.node.import_block(blocks[-1])
    assert missing.value.model_id == MODEL.id
    assert other.node.head_number == world.node.head_number - 1

    other.add_model()
    other.node.import_block(blocks[-1])
    assert other.node.head_hash == world.node.head_hash


def test_build__node_without_the_model__keeps_the_transaction_until_it_is_there(world: World) -> None:
    world.models.remove(MODEL.id)
    sent = world.submit(USER, INFERENCE, infer_data(INPUT))

    with pytest.raises(ModelUnavailable):
        world.build()
    with pytest.raises(ModelUnavailable):
        world.call(USER, INFERENCE, infer_data(INPUT))
    assert world.node.pool_status() == (1, 0)

    world.add_model()
    world.build()
    assert world.receipt(sent)["status"] == "0x1"


def test_activation__of_a_model__begins_and_ends_after_the_delay() -> None:
    world = World()
    assert _status(world) == 0
    world.register()
    assert _status(world) == 1

    world.send(SEQUENCER, MODEL_REGISTRY, call_data("activate(bytes32,uint256)", MODEL.id, 1_000))
    for _ in range(DELAY - 1):
        assert world.call(USER, INFERENCE, infer_data(INPUT))["status"] == "revert"
        world.build()
    assert _status(world) == 2
    world.send(OWNER, MODEL_REGISTRY, call_data("deactivate(bytes32)", MODEL.id))
    for _ in range(DELAY - 1):
        assert world.call(USER, INFERENCE, infer_data(INPUT))["status"] == "success"
        world.build()
    assert _status(world) == 3
    assert world.call(USER, INFERENCE, infer_data(INPUT))["status"] == "revert"

    world.send(USER, MODEL_REGISTRY, call_data("release(bytes32)", MODEL.id))
    world.activate()
    assert world.infer(INPUT)["status"] == "0x1"


def test_activation__reorganised_away__is_undone_and_can_be_decided_again() -> None:
    world, rival = World(), World()
    world.register()
    fork = world.node.head_number
    for number in range(1, fork + 1):
        block = world.node.block(number)
        assert block is not None
        rival.node.import_block(block)
    world.activate()
    assert world.infer(INPUT)["status"] == "0x1"

    # The other branch is longer, and nobody activates the model on it.
    branch = [rival.build() for _ in range(world.node.head_number - fork + 1)]
    for block in branch:
        world.node.store_block(block)
    world.node.set_head(branch[-1].hash)
    assert world.node.head_hash == rival.node.head_hash
    assert _status(world) == 1
    while world.node.pool_status()[0]:
        world.build()  # what the first branch had mined is mined again: it activates the model, too late for the call
    world.build()
    assert _status(world) == 2
    assert world.infer(INPUT)["status"] == "0x1"


def test_payment__of_several_calls__is_the_owners_at_the_end_of_the_block() -> None:
    world = World()
    world.register(price_wei=1_000)
    world.activate()
    before = world.balance(PEOPLE[OWNER])

    receipts = [world.submit(USER, INFERENCE, infer_data(INPUT), 1_000, nonce=world.node.pending_nonce(PEOPLE[USER]))]
    receipts.append(world.submit(SEQUENCER, INFERENCE, infer_data(INPUT), 1_000))
    world.build()

    assert [world.receipt(sent)["inferenceFee"] for sent in receipts] == [hex(1_000)] * 2
    assert world.balance(PEOPLE[OWNER]) == before + 2_000
    assert world.balance(INFERENCE) == 0


def test_attack__price_raised_between_quote_and_call__costs_the_caller_gas_only() -> None:
    world = World()
    world.register(price_wei=1_000)
    world.activate()
    world.send(OWNER, MODEL_REGISTRY, call_data("set_price(bytes32,uint256)", MODEL.id, 10**18))
    before = world.balance(PEOPLE[OWNER])

    receipt = world.infer(INPUT, 1_000)

    assert (receipt["status"], receipt["logs"]) == ("0x0", [])
    assert world.balance(PEOPLE[OWNER]) == before
    refusal = world.call(USER, INFERENCE, infer_data(INPUT), 1_000)["output"]
    assert refusal == call_data("WrongPayment(uint256,uint256)", 10**18, 1_000)


def test_attack__owner_with_code__is_paid_without_being_called() -> None:
    world = World()
    world.register(price_wei=1_000)
    world.activate()
    # Code that writes to its storage and reverts: neither happens, for it never runs.
    contract = Address(bytes([0x99]) * 20)
    world.node.set_account(contract, None, None, bytes.fromhex("60015f555f5ffd"))
    world.send(OWNER, MODEL_REGISTRY, call_data("set_owner(bytes32,address)", MODEL.id, contract))

    assert world.infer(INPUT, 1_000)["status"] == "0x1"

    assert world.balance(contract) == 1_000
    assert world.node.storage(contract, 0, world.node.head_number) == 0


def test_attack__value_sent_to_the_precompile_by_force__is_nobodys() -> None:
    world = World()
    world.register(price_wei=1_000)
    world.activate()
    # SELFDESTRUCT in init code gives its endowment to the precompile without calling it.
    bomb = bytes.fromhex("73") + INFERENCE + bytes.fromhex("ff")
    world.send(USER, None, bomb, 555)
    before = world.balance(PEOPLE[OWNER])

    world.infer(INPUT, 1_000)

    assert world.balance(PEOPLE[OWNER]) == before + 1_000
    assert world.balance(INFERENCE) == 555


def test_model_info__of_the_active_model__is_what_its_graph_says(world: World) -> None:
    info = world.call(USER, INFERENCE, call_data("modelInfo(bytes32)", MODEL.id))["output"]
    types = ["uint8", "address", "uint256", "uint64", "uint64", "uint64", "uint64", "uint64"]
    status, owner, price_wei, macs, moved_bytes, input_size, output_size, gas = decode(types, info)
    proven = engine.prove_graph(encode_graph(MODEL.graph))

    assert (status, bytes.fromhex(owner[2:]), price_wei) == (2, PEOPLE[OWNER], 0)
    assert (macs, moved_bytes) == (proven["cost"][0], proven["cost"][1])
    assert (input_size, output_size) == (len(INPUT), len(answer(INPUT)))
    constants = CONSTANTS.inference
    assert constants is not None
    assert gas == gas_of_run(constants, macs, moved_bytes, output_size)


def test_vectors__by_call__are_numpys(world: World) -> None:
    a, b = bytes([1, 2, 3, 250]), bytes([5, 0, 255, 7])
    dot = world.call(USER, VECTORS, call_data("dot(uint8,bytes,bytes)", 1, a, b))["output"]
    assert int.from_bytes(dot, "big", signed=True) == 5 - 3 - 42
    product = world.call(USER, VECTORS, call_data("matmulInt8(uint32,uint32,uint32,bytes,bytes)", 2, 2, 2, a, b))[
        "output"
    ]
    assert decode(["bytes"], product)[0] == b"".join(
        value.to_bytes(4, "little", signed=True) for value in (1 * 5 - 2, 0 + 14, 15 + 6, -42)
    )
