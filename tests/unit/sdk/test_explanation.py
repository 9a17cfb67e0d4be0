"""What a block's record means: who waits for whom, on what, and what would help."""

from __future__ import annotations

from metis.engine import BlockRecord, Conflict, Dependency, keccak256
from metis.sdk import explain, function_name
from metis.types import Address, Gas, Hash32, UnsignedTransaction, Wei

TOKEN = Address(b"\xcc" * 20)
LONE = Address(b"\xaa" * 20)
TRANSFER = keccak256(b"transfer(address,uint256)")[:4] + bytes(64)


def sent(sender: bytes, data: bytes = b"", to: Address | None = TOKEN) -> UnsignedTransaction:
    return UnsignedTransaction(Address(sender), 0, Gas(50_000), Wei(1), to=to, data=data)


def record(
    count: int, dependencies: list[Dependency], chain: tuple[int, ...], conflicts: list[Conflict] | None = None
) -> BlockRecord:
    return BlockRecord(
        access_list=b"\xc0",
        access_list_hash=Hash32(keccak256(b"\xc0")),
        transaction_count=count,
        gas_used=Gas(count * 30_000),
        dependencies=tuple(dependencies),
        chain=chain,
        chain_gas=Gas(len(chain) * 30_000),
        conflicts=tuple(conflicts or ()),
        rerun_count=len({row.transaction for row in conflicts or ()}),
    )


def test_function_name__of_what_a_transaction_calls__is_known_or_its_selector() -> None:
    assert function_name(sent(LONE, TRANSFER)) == "transfer"
    assert function_name(sent(LONE, b"\x12\x34\x56\x78\x9a")) == "0x12345678"
    assert function_name(sent(LONE)) == "payment"
    assert function_name(sent(LONE, b"\x60", to=None)) == "creation"


def test_explain__strangers__says_that_nothing_helps() -> None:
    found = explain(record(3, [], (0,)), [sent(bytes([at]) * 20) for at in range(3)])
    assert (found.obstacles, found.dependent_count, found.speedup_max) == ((), 0, 3.0)
    assert found.advice == ("Nothing: no transaction depends on another.",)


def test_explain__one_hot_slot__names_it_and_its_function() -> None:
    waits = [Dependency(at, at - 1, TOKEN, 7) for at in (1, 2)]
    conflicts = [Conflict(2, 1, TOKEN, 7)]
    transactions = [sent(bytes([at]) * 20, TRANSFER) for at in range(3)]
    found = explain(record(3, waits, (0, 1, 2), conflicts), transactions)
    (obstacle,) = found.obstacles
    assert (obstacle.address, obstacle.slot, obstacle.is_sender) == (TOKEN, 7, False)
    assert (obstacle.transactions, obstacle.chain_count, obstacle.conflict_count) == ((1, 2), 2, 1)
    assert obstacle.functions == ("transfer",)
    (advice,) = found.advice
    assert advice.startswith("Split slot 0x7 of 0xcc")
    assert "2 transactions (transfer)" in advice


def test_explain__one_sender__is_told_to_be_several() -> None:
    waits = [Dependency(at, at - 1, LONE, None) for at in (1, 2)]
    found = explain(record(3, waits, (0, 1, 2)), [sent(LONE)] * 3)
    assert found.obstacles[0].is_sender
    (advice,) = found.advice
    assert advice.startswith("Spread transactions over more senders: 2 of 2 links")


def test_explain__links_of_the_longest_chain__come_first() -> None:
    waits = [Dependency(1, 0, LONE, None), *(Dependency(at, 2, TOKEN, 1) for at in (3, 4, 5))]
    found = explain(record(6, waits, (0, 1)), [sent(LONE)] * 2 + [sent(bytes([at]) * 20) for at in range(4)])
    assert [(one.slot, one.chain_count, len(one.transactions)) for one in found.obstacles] == [(None, 1, 1), (1, 0, 3)]


def test_explain__an_account_that_pays_from_code__is_named() -> None:
    waits = [Dependency(1, 0, TOKEN, None)]
    found = explain(record(2, waits, (0, 1)), [sent(bytes([at]) * 20) for at in range(2)])
    assert found.advice[0].startswith("Let fewer calls pay from 0xcc")
