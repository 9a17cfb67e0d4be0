"""Runs of blocks, whose stages overlap, beside the same blocks imported one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]

from metis import engine
from metis.types import Address, Hash32, MetisError
from tests.property.reference_trie import list_root
from tests.unit.engine.test_node import ACCOUNTS, build, open_node, transfer

BLOCK_COUNT = 6
GAS_PER_BLOCK = 20 * 21_000

PARENT_HASH, STATE_ROOT, TRANSACTIONS_ROOT, RECEIPTS_ROOT, BLOOM, NUMBER, GAS_USED, BASE_FEE = 0, 3, 4, 5, 6, 8, 10, 15
"""Positions in a header (Yellow Paper §4.4)."""

Block = list[Any]
"""A block's RLP, decoded: header, transactions, ommers, withdrawals."""


def receiver(nonce: int) -> Address:
    """Who gets a transfer: some get many."""
    return Address((0xC0FFEE + nonce % 13).to_bytes(20, "big"))


def chain_of_blocks(tip: int = 10**9) -> list[bytes]:
    """Blocks of twenty transfers: enough for each to be executed by many threads; the state of each needs the last."""
    node = open_node()
    for number in range(BLOCK_COUNT):
        for nonce in range(number * 10, number * 10 + 10):
            for sender in (0, 1):
                node.submit(transfer(sender, nonce, tip=tip, to=receiver(nonce)))
        assert build(node).header_fields()["gas_used"] == GAS_PER_BLOCK
    return [(node.block(number) or pytest.fail("block")).rlp for number in range(1, BLOCK_COUNT + 1)]


BLOCKS = chain_of_blocks()


def forged(position: int, change: Callable[[Block], None]) -> list[bytes]:
    """The chain with one block changed, and the parent hashes of those after it set right."""
    blocks = [rlp.decode(block) for block in BLOCKS]
    change(blocks[position])
    for parent, child in zip(blocks[position:], blocks[position + 1 :], strict=False):
        child[0][PARENT_HASH] = engine.keccak256(rlp.encode(parent[0]))
    return [rlp.encode(block) for block in blocks]


def header(index: int, change: Callable[[bytes], bytes]) -> Callable[[Block], None]:
    """A change of one field of the header."""

    def make(block: Block) -> None:
        block[0][index] = change(block[0][index])

    return make


def flip(value: bytes) -> bytes:
    """The value with its last bit changed."""
    return value[:-1] + bytes([value[-1] ^ 1])


def another_transaction(block: Block) -> None:
    """One more transfer, which the header knows of but for its effects: its nonce is far too high."""
    block[1].append(transfer(0, 5_000))
    block[0][TRANSACTIONS_ROOT] = list_root(block[1])


def forged_signature(block: Block) -> None:
    """The first transaction's signature is no one's."""
    kind, fields = block[1][0][:1], rlp.decode(block[1][0][1:])
    fields[-2] = bytes([255]) * 32
    block[1][0] = kind + rlp.encode(fields)
    block[0][TRANSACTIONS_ROOT] = list_root(block[1])


def truncated(block: Block) -> None:
    """A header that lacks a field."""
    block[0].pop()


FORGERIES: dict[str, Callable[[Block], None]] = {
    "parent": header(PARENT_HASH, flip),
    "state root": header(STATE_ROOT, flip),
    "transactions root": header(TRANSACTIONS_ROOT, flip),
    "receipts root": header(RECEIPTS_ROOT, flip),
    "bloom": header(BLOOM, flip),
    "number": header(NUMBER, lambda value: bytes([value[0] + 1])),
    "gas used": header(GAS_USED, flip),
    "base fee": header(BASE_FEE, flip),
    "transaction": another_transaction,
    "signature": forged_signature,
    "shape": truncated,
    "withdrawals": lambda block: block[3].append([b"", b"", bytes(20), b"\x01"]),
}


def one_by_one(node: engine.Node, blocks: list[bytes]) -> tuple[list[str], tuple[str, str] | None]:
    """What becomes of each, and the failure that ends it."""
    imported = []
    for block in blocks:
        try:
            imported.append(node.import_block(engine.decode_block(block)))
        except MetisError as failure:
            return imported, (failure.slug, str(failure))
    return imported, None


def in_a_run(node: engine.Node, blocks: list[bytes]) -> tuple[list[str] | int, tuple[str, str] | None]:
    """The same of a run; of one that fails, how many were kept."""
    try:
        return node.import_blocks(blocks), None
    except MetisError as failure:
        [note] = failure.__notes__
        position = int(note.removeprefix("at position ").split(" ")[0])
        return position, (failure.slug, str(failure))


def seen(node: engine.Node) -> tuple[bytes, list[Any], bytes]:
    """Head, receipts of all blocks, and every account."""
    receipts = [node.block_receipts_json(number) for number in range(node.head_number + 1)]
    return node.head_hash, receipts, node.accounts_json()


def test_import_blocks__of_a_chain__gives_what_one_by_one_gives() -> None:
    single, run = open_node(), open_node()
    assert one_by_one(single, BLOCKS) == in_a_run(run, BLOCKS) == (["head"] * BLOCK_COUNT, None)
    assert seen(run) == seen(single)
    assert run.import_blocks([]) == []
    assert run.import_blocks(BLOCKS[2:4]) == ["known"] * 2


@pytest.mark.parametrize("position", [0, 1, 2, BLOCK_COUNT - 1])
@pytest.mark.parametrize("what", FORGERIES)
def test_import_blocks__with_a_forged_block__keeps_those_before_it_and_says_what_is_wrong(
    what: str, position: int
) -> None:
    blocks = forged(position, FORGERIES[what])
    single, run = open_node(), open_node()
    imported, failure = one_by_one(single, blocks)
    assert (imported, failure is None) == (["head"] * position, False)
    assert in_a_run(run, blocks) == (position, failure)
    assert seen(run) == seen(single)
    # What was executed on the forged block is forgotten: the true one goes in.
    assert run.import_blocks(BLOCKS[position:]) == ["head"] * (BLOCK_COUNT - position)


def test_import_blocks__of_two_chains_and_known_blocks__places_each_as_one_by_one_does() -> None:
    rival = [(rlp.decode(block)) for block in chain_of_blocks(tip=10**8)]
    other = [rlp.encode(block) for block in rival]
    blocks = [BLOCKS[0], BLOCKS[1], other[0], BLOCKS[1], BLOCKS[2], other[1], other[2], *BLOCKS[2:], BLOCKS[5]]
    single, run = open_node(), open_node()
    placed = one_by_one(single, blocks)
    assert set(placed[0]) == {"head", "side", "known"}
    assert in_a_run(run, blocks) == placed
    assert seen(run) == seen(single)
    run.set_head(engine.decode_block(other[2]).hash)
    single.set_head(run.head_hash)
    assert seen(run) == seen(single)
    assert run.import_blocks(other[3:]) == ["head"] * 3


def test_import_blocks__with_waiting_transactions__takes_those_out_that_were_mined() -> None:
    node = open_node()
    waiting = [node.submit(raw) for raw in (transfer(0, 0, tip=10**9, to=receiver(0)), transfer(0, 10**2))]
    node.import_blocks(BLOCKS)
    assert node.pool_status() == (0, 1)
    assert node.receipt_json(waiting[0]) is not None
    assert node.pending_nonce(ACCOUNTS[0]) == BLOCK_COUNT * 10


def test_import_blocks__while_others_read__shows_every_block_with_its_state() -> None:
    node, failures = open_node(), list[BaseException]()
    is_over = threading.Event()

    def read() -> None:
        try:
            while not is_over.is_set():
                number = node.head_number
                head = node.block(number)
                assert head is not None
                assert node.nonce(ACCOUNTS[0], Hash32(head.hash)) == number * 10
                assert len(node.raw_receipts(number) or []) == (20 if number else 0)
        except BaseException as failure:  # noqa: BLE001 - told below, whatever it is
            failures.append(failure)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        node.import_blocks(BLOCKS)
    finally:
        is_over.set()
        for reader in readers:
            reader.join()
    assert failures == []
