"""
Why a block does not run any faster: which transactions wait for which, on what, and what would help.

In: a block's record (:class:`metis.engine.BlockRecord`) and its transactions. Out: :class:`Explanation`. All of it but
the conflicts follows from the block alone, so that it is the same on every machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from metis.engine import BlockRecord, keccak256
from metis.types import Address, UnsignedTransaction

__all__ = ["Explanation", "Obstacle", "explain", "function_name"]

_SIGNATURES = (
    "transfer(address,uint256)",
    "transferFrom(address,address,uint256)",
    "approve(address,uint256)",
    "mint(address,uint256)",
    "burn(uint256)",
    "deposit()",
    "withdraw(uint256)",
    "claim()",
    "stake(uint256)",
    "multicall(bytes[])",
    "multicall(uint256,bytes[])",
    "execute(bytes,bytes[],uint256)",
    "execute(bytes,bytes[])",
    "aggregate((address,bytes)[])",
    "safeTransferFrom(address,address,uint256)",
    "setApprovalForAll(address,bool)",
    "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
    "swap(uint256,uint256,address,bytes)",
    "swap(address,bool,int256,uint160,bytes)",
    "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
    "swapExactTokensForETH(uint256,uint256,address[],address,uint256)",
    "swapExactETHForTokens(uint256,address[],address,uint256)",
    "swapExactTokensForTokensSupportingFeeOnTransferTokens(uint256,uint256,address[],address,uint256)",
    "swapExactETHForTokensSupportingFeeOnTransferTokens(uint256,address[],address,uint256)",
    "swapExactTokensForETHSupportingFeeOnTransferTokens(uint256,uint256,address[],address,uint256)",
    "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
    "exactInput((bytes,address,uint256,uint256,uint256))",
    "handleOps((address,uint256,bytes,bytes,uint256,uint256,uint256,uint256,uint256,bytes,bytes)[],address)",
)
_NAMES = {keccak256(text.encode())[:4]: text.partition("(")[0] for text in _SIGNATURES}

SELECTOR_SIZE_BYTES = 4


def function_name(transaction: UnsignedTransaction) -> str:
    """What a transaction calls, by the selector where it is known: "transfer", "0x12345678", "payment", "creation"."""
    if transaction.to is None:
        return "creation"
    selector = bytes(transaction.data[:SELECTOR_SIZE_BYTES])
    if not selector:
        return "payment"
    return _NAMES.get(selector, f"0x{selector.hex()}")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """
    Something that transactions wait for each other on.

    Attributes
    ----------
    address, slot : the slot of the account, or (None) its balance, nonce or code.
    is_sender : it is the account of a sender whose transactions follow each other.
    transactions : those that depend on an earlier one for it, in order.
    chain_count : links of the longest chain that go through it.
    conflict_count : times that it was found different when a transaction's turn came.
    functions : what these transactions call, the most frequent first.
    """

    address: Address
    slot: int | None
    is_sender: bool
    transactions: tuple[int, ...]
    chain_count: int
    conflict_count: int
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    What keeps a block's transactions from running at the same time.

    Attributes
    ----------
    record : what it follows from.
    obstacles : the one with the most links of the longest chain first, then the one with the most transactions.
    dependent_count : transactions that depend on an earlier one.
    speedup_max : gas of the block over that of its longest chain: no number of cores does better.
    advice : what would help, in sentences; never empty.
    """

    record: BlockRecord
    obstacles: tuple[Obstacle, ...]
    dependent_count: int
    speedup_max: float
    advice: tuple[str, ...]


def explain(record: BlockRecord, transactions: Sequence[UnsignedTransaction]) -> Explanation:
    """
    Say what a record means.

    Parameters
    ----------
    transactions : of the block, in order.
    """
    chain_links = set(zip(record.chain[1:], record.chain, strict=False))
    by_place: dict[tuple[Address, int | None], list[int]] = {}
    links: Counter[tuple[Address, int | None]] = Counter()
    for row in record.dependencies:
        place = (row.address, row.slot)
        by_place.setdefault(place, []).append(row.transaction)
        links[place] += (row.transaction, row.on) in chain_links
    conflicts = Counter((row.address, row.slot) for row in record.conflicts)
    obstacles = [
        Obstacle(
            address=address,
            slot=slot,
            is_sender=slot is None and any(transactions[at].sender == address for at in waiting),
            transactions=tuple(waiting),
            chain_count=links[address, slot],
            conflict_count=conflicts[address, slot],
            functions=tuple(
                name for name, _ in Counter(function_name(transactions[at]) for at in waiting).most_common()
            ),
        )
        for (address, slot), waiting in by_place.items()
    ]
    obstacles.sort(key=lambda one: (-one.chain_count, -len(one.transactions), one.address, one.slot or 0))
    speedup_max = record.gas_used / record.chain_gas if record.chain_gas else 1.0
    return Explanation(
        record=record,
        obstacles=tuple(obstacles),
        dependent_count=len({row.transaction for row in record.dependencies}),
        speedup_max=speedup_max,
        advice=tuple(_advice(record, obstacles, speedup_max)),
    )


ENOUGH_SPEEDUP = 16.0
"""More cores than this few machines have: the block is no obstacle then."""


def _advice(record: BlockRecord, obstacles: Sequence[Obstacle], speedup_max: float) -> list[str]:
    if not obstacles:
        return ["Nothing: no transaction depends on another."]
    advice = []
    if speedup_max >= ENOUGH_SPEEDUP:
        advice.append(
            f"Nothing much: the longest chain is {record.chain_gas / record.gas_used:.1%} of the block's gas."
        )
    on_chain = [one for one in obstacles if one.chain_count]
    senders = [one for one in on_chain if one.is_sender]
    slots = [one for one in on_chain if one.slot is not None]
    accounts = [one for one in on_chain if one.slot is None and not one.is_sender]
    if senders:
        links = sum(one.chain_count for one in senders)
        advice.append(
            f"Spread transactions over more senders: {links} of {len(record.chain) - 1} links of the longest chain are "
            "nonces and balances of one sender's transactions after each other."
        )
    if slots:
        one = slots[0]
        advice.append(
            f"Split slot 0x{one.slot:x} of 0x{one.address.hex()} (such as one slot for each user), which "
            f"{len(one.transactions)} transactions ({', '.join(one.functions[:3])}) read after another wrote it."
        )
    if accounts:
        one = accounts[0]
        advice.append(
            f"Let fewer calls pay from 0x{one.address.hex()}, or look at its balance: {len(one.transactions)} "
            "transactions wait for each other there. Payments to it do not."
        )
    return advice or ["Nothing: the longest chain is one transaction."]
