"""The node's door: building, importing, reorganising, restarting; against what its calls say of each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from metis import engine
from metis.rpc.namespaces.overrides import BlockOverride
from metis.types import (
    Account,
    Address,
    BlockAttributes,
    DecodeError,
    Gas,
    InvalidBlock,
    InvalidTransaction,
    PoolRejection,
    StorageError,
    TimestampS,
    UnknownParent,
    UnsignedTransaction,
    Wei,
)
from tests.genesis_documents import CANCUN_BLOBS, genesis_json

MNEMONIC = "test test test test test test test test test test test junk"
KEYS = [engine.derive_private_key(MNEMONIC, f"m/44'/60'/0'/0/{index}") for index in range(3)]
ACCOUNTS = [Address(engine.address_of(key)) for key in KEYS]
ALLOC = {account: Account(balance_wei=Wei(10**20)) for account in ACCOUNTS}
CHAIN_ID = 77
GAS_LIMIT = Gas(30_000_000)
GENESIS = genesis_json("Shanghai", CHAIN_ID, gas_limit=GAS_LIMIT)

# Logs its caller under one topic: PUSH1 7, CALLER to memory, LOG1, STOP.
LOGGER = bytes.fromhex("33600052600760206000a100")


def open_node(data_dir: Path | None = None) -> engine.Node:
    return engine.Node.open(GENESIS, ALLOC, data_dir)


def transfer(sender: int, nonce: int, *, tip: int = 10**9, value: int = 1, to: Address = ACCOUNTS[2]) -> bytes:
    fields = UnsignedTransaction(
        sender=ACCOUNTS[sender],
        nonce=nonce,
        gas_limit=Gas(60_000),
        gas_price_wei=Wei(10**10),
        max_priority_fee_per_gas_wei=Wei(tip),
        to=to,
        value_wei=Wei(value),
        type=2,
        chain_id=CHAIN_ID,
    )
    return engine.sign_transaction(fields, KEYS[sender])


def build(node: engine.Node, timestamp_s: int | None = None) -> engine.BlockHandle:
    number = node.head_number + 1
    attributes = BlockAttributes(timestamp_s=TimestampS(timestamp_s or number * 10), gas_limit=GAS_LIMIT)
    block: engine.BlockHandle = node.build(attributes)["block"]
    return block


def test_keys__of_the_test_mnemonic__are_the_well_known_ones() -> None:
    assert ACCOUNTS[0].hex() == "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    with pytest.raises(DecodeError, match="BIP-39"):
        engine.derive_private_key("test test junk", "m/0")


def test_build__from_the_pool__mines_best_tip_first_and_empties_it() -> None:
    node = open_node()
    cheap = node.submit(transfer(0, 0, tip=10**8))
    dear = node.submit(transfer(1, 0, tip=10**9))
    gapped = node.submit(transfer(0, 2))
    assert node.pool_status() == (2, 1)
    assert node.pending_nonce(ACCOUNTS[0]) == 1
    block = build(node)
    assert [entry.hash for entry in block.body_fields()["transactions"]] == [dear, cheap]
    assert node.pool_status() == (0, 1)
    receipt = json.loads(node.receipt_json(cheap) or b"null")
    assert (receipt["status"], receipt["transactionIndex"]) == ("0x1", "0x1")
    assert json.loads(node.transaction_json(gapped) or b"null")["blockHash"] is None
    # The gap is filled: what waited is mined as well.
    node.submit(transfer(0, 1))
    build(node)
    assert node.pool_status() == (0, 0)
    assert node.nonce(ACCOUNTS[0], node.head_number) == 3


@pytest.mark.parametrize(
    ("raw", "error", "reason"),
    [
        (lambda: transfer(0, 0), PoolRejection, "already-known"),
        (lambda: transfer(0, 0, value=2), PoolRejection, "replacement-underpriced"),
        (lambda: transfer(1, 0, value=10**21), InvalidTransaction, "insufficient-funds"),
        (lambda: transfer(1, 5000), PoolRejection, "nonce-gap"),
    ],
)
def test_submit__of_what_the_pool_refuses__says_why(
    raw: Callable[[], bytes], error: type[InvalidTransaction | PoolRejection], reason: str
) -> None:
    node = open_node()
    node.submit(transfer(0, 0))
    with pytest.raises((InvalidTransaction, PoolRejection)) as refused:
        node.submit(raw())
    assert isinstance(refused.value, error)
    assert refused.value.reason == reason
    assert node.pool_status() == (1, 0)


def test_submit_many__with_bad_items__takes_the_good_ones() -> None:
    node = open_node()
    results = node.submit_many([transfer(0, 0), b"\x02\xc0", transfer(0, 1), transfer(0, 1)])
    assert [type(result) for result in results] == [bytes, DecodeError, bytes, PoolRejection]
    assert node.pool_status() == (2, 0)


def test_import__of_built_blocks__gives_the_same_chain() -> None:
    first, second = open_node(), open_node()
    for round_ in range(4):
        first.submit(transfer(0, round_))
        assert second.import_block(build(first)) == "head"
    assert second.head_hash == first.head_hash
    assert second.block_json(3, full=True) == first.block_json(3, full=True)
    assert second.block_receipts_json(4) == first.block_receipts_json(4)
    assert second.import_block(first.block(2) or pytest.fail("block 2")) == "known"


def test_import__of_an_orphan__names_the_parent() -> None:
    first, second = open_node(), open_node()
    parent = build(first)
    orphan = build(first)
    with pytest.raises(UnknownParent) as unknown:
        second.import_block(orphan)
    assert unknown.value.parent_hash == parent.hash


def test_set_head__to_a_side_chain__moves_state_and_pool_with_it() -> None:
    node, rival = open_node(), open_node()
    sent = node.submit(transfer(0, 0, value=5))
    build(node)
    for _ in range(2):
        build(rival, timestamp_s=(rival.head_number + 1) * 7)
    assert [node.import_block(rival.block(number) or pytest.fail("block")) for number in (1, 2)] == ["side", "side"]
    balance = node.balance(ACCOUNTS[2], node.head_number)
    node.set_head(rival.head_hash)
    assert node.head_hash == rival.head_hash
    assert node.balance(ACCOUNTS[2], node.head_number) == balance - 5
    # The transaction left the chain and waits again.
    assert node.receipt_json(sent) is None
    assert node.pool_status() == (1, 0)
    build(node, timestamp_s=100)
    assert node.balance(ACCOUNTS[2], node.head_number) == balance
    with pytest.raises(InvalidBlock):
        node.set_head(bytes(32))


def test_reopen__after_blocks_and_patches__continues_where_it_was(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    node.submit(transfer(0, 0))
    build(node)
    node.set_account(ACCOUNTS[1], balance_wei=5, code=LOGGER)
    node.set_storage(ACCOUNTS[1], 3, 9)
    before = (node.head_hash, node.proof_json(ACCOUNTS[1], [3], node.head_number))
    with pytest.raises(StorageError) as locked:
        open_node(tmp_path)
    assert locked.value.kind == "locked"
    del node
    again = open_node(tmp_path)
    assert (again.head_hash, again.proof_json(ACCOUNTS[1], [3], again.head_number)) == before
    again.submit(transfer(0, 1))
    build(again)
    assert (again.head_number, again.nonce(ACCOUNTS[0], 2)) == (2, 2)


def test_truncate__to_an_older_block__undoes_state_and_patches() -> None:
    node = open_node()
    build(node)
    first = node.head_hash
    node.set_account(ACCOUNTS[1], balance_wei=5)
    node.submit(transfer(0, 0))
    build(node)
    node.truncate(first)
    assert (node.head_hash, node.balance(ACCOUNTS[1], 1)) == (first, 10**20)
    assert node.block_json(2, full=False) is None
    # What was in forgotten blocks is forgotten as well.
    assert node.pool_status() == (0, 0)


def test_logs__by_address_and_topic__are_those_of_the_receipts() -> None:
    node = open_node()
    node.set_account(ACCOUNTS[1], code=LOGGER)
    for nonce in range(3):
        node.submit(transfer(0, nonce, to=ACCOUNTS[1], value=0))
        build(node)
    topic = (7).to_bytes(32, "big")
    found = json.loads(node.logs_json(0, 10, [ACCOUNTS[1]], [[topic]], 100))
    assert [entry["blockNumber"] for entry in found] == ["0x1", "0x2", "0x3"]
    assert found[0] == json.loads(node.block_receipts_json(1) or b"null")[0]["logs"][0]
    assert json.loads(node.logs_json(0, 10, [ACCOUNTS[2]], [], 100)) == []
    assert json.loads(node.logs_json(2, 2, [], [None], 100))[0]["logIndex"] == "0x0"


def test_call__with_overrides__sees_them_and_changes_nothing() -> None:
    node = open_node()
    # Returns SLOAD(1) plus the block's number.
    code = bytes.fromhex("60015443016000526020") + bytes.fromhex("6000f3")

    class Assumed:
        nonce = None
        balance_wei = None
        storage = None
        move_precompile_to = None

        def __init__(self) -> None:
            self.code = code
            self.storage_diff = {1: 40}

    call = UnsignedTransaction(
        sender=ACCOUNTS[0], nonce=0, gas_limit=Gas(100_000), gas_price_wei=Wei(0), to=ACCOUNTS[2], chain_id=CHAIN_ID
    )
    done = node.call(call, node.head_number, overrides={ACCOUNTS[2]: Assumed()})
    assert int.from_bytes(done["output"], "big") == 40
    assert node.code(ACCOUNTS[2], node.head_number) == b""
    kind, gas = node.estimate_gas(call, node.head_number)
    assert (kind, gas) == ("gas", 21_000)


def test_close__of_a_node_with_a_folder__frees_it_at_once_and_refuses_later_calls(tmp_path: Path) -> None:
    node = open_node(tmp_path)
    node.submit(transfer(0, 0))
    head = build(node).hash
    node.close()
    again = open_node(tmp_path)
    assert again.head_hash == head
    calls: list[Callable[[], object]] = [
        lambda: node.head_hash,
        lambda: node.submit(transfer(0, 1)),
        lambda: node.block_json(1, full=True),
        lambda: build(node),
        node.sync,
        node.pool_status,
    ]
    for call in calls:
        with pytest.raises(StorageError) as closed:
            call()
        assert closed.value.kind == "closed"
    node.close()
    again.submit(transfer(0, 1))
    build(again)
    again.close()


def test_store_block__that_extends_the_head__moves_it_only_when_told() -> None:
    first, second = open_node(), open_node()
    first.submit(transfer(0, 0, value=5))
    block = build(first)
    before = second.head_hash
    assert second.store_block(block) == "side"
    assert second.store_block(block) == "known"
    assert second.import_block(block) == "known"
    assert second.head_hash == before
    assert second.balance(ACCOUNTS[2], 0) == second.balance(ACCOUNTS[2], before)
    second.set_head(block.hash)
    assert second.head_hash == first.head_hash
    assert second.proof_json(ACCOUNTS[2], [], 1) == first.proof_json(ACCOUNTS[2], [], 1)
    second.submit(transfer(0, 1))
    first.submit(transfer(0, 1))
    assert build(second).hash == build(first).hash


def test_build__that_may_not_be_empty__builds_nothing_where_nothing_pays() -> None:
    node = open_node()
    attributes = BlockAttributes(timestamp_s=TimestampS(10), gas_limit=GAS_LIMIT)
    before = node.head_hash
    assert node.build(attributes, allow_empty=False)["block"] is None
    fields = UnsignedTransaction(
        sender=ACCOUNTS[0], nonce=0, gas_limit=Gas(21_000), gas_price_wei=Wei(1), to=ACCOUNTS[1], chain_id=CHAIN_ID
    )
    node.submit(engine.sign_transaction(fields, KEYS[0]))
    assert node.pool_status() == (1, 0)
    assert node.build(attributes, allow_empty=False)["block"] is None
    assert node.head_hash == before
    assert node.build(attributes)["block"].number == 1


def test_counters__after_blocks__sum_what_they_did() -> None:
    node = open_node()
    node.set_account(ACCOUNTS[2], code=LOGGER)
    for nonce in range(3):
        node.submit(transfer(0, nonce, value=0))
    block = build(node)
    counters = node.counters()
    assert (counters["transaction_count"], counters["log_count"]) == (3, 3)
    assert counters["gas_used"] == block.header_fields()["gas_used"]


def test_call__with_an_assumed_blob_base_fee__sees_it() -> None:
    # BLOBBASEFEE, returned as a word.
    code = bytes.fromhex("4a60005260206000f3")
    node = engine.Node.open(genesis_json("Cancun", CHAIN_ID, blobs=CANCUN_BLOBS), ALLOC)
    node.set_account(ACCOUNTS[2], code=code)
    call = UnsignedTransaction(
        sender=ACCOUNTS[0], nonce=0, gas_limit=Gas(100_000), gas_price_wei=Wei(0), to=ACCOUNTS[2], chain_id=CHAIN_ID
    )
    plain = node.call(call, 0)["output"]
    assumed = node.call(call, 0, None, BlockOverride(blob_base_fee_wei=12_345))["output"]
    assert (int.from_bytes(plain, "big"), int.from_bytes(assumed, "big")) == (1, 12_345)
