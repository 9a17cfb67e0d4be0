"""
Running transactions and code without sealing a block: simulation, replays, tests, traces.

What a transaction does is a result, also when it reverts or runs out of gas
(:class:`metis.types.TransactionOutcome`). Errors are for transactions that may not run at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from metis.engine import _native
from metis.engine.compiled import CodeRegistry
from metis.engine.records import BlockRecord, record_from
from metis.engine.results import outcome_from, receipt_from
from metis.engine.rules import ChainSpec
from metis.engine.state import Store
from metis.engine.transactions import TransactionHandle
from metis.types import BlockEnvironment, Gas, Hash32, Receipt, TransactionOutcome
from metis.types.units import Wei

__all__ = [
    "BatchOutcome",
    "bench_transaction",
    "compare_tiers",
    "execute_transaction",
    "execute_transactions",
    "run_code",
]


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """
    What running transactions as one block did; everything a header would commit to.

    Attributes
    ----------
    receipts : one per transaction, in order.
    state_root, receipts_root, transactions_root : 32 bytes each.
    logs_bloom : 256 bytes (Yellow Paper §4.3.1).
    logs_hash : Keccak-256 of the RLP of all logs, as state tests record it.
    gas_used : by all transactions together.
    record : what they accessed, where that was asked for.
    """

    receipts: tuple[Receipt, ...]
    state_root: Hash32
    receipts_root: Hash32
    transactions_root: Hash32
    logs_bloom: bytes
    logs_hash: Hash32
    gas_used: Gas
    record: BlockRecord | None


def execute_transaction(
    store: Store,
    spec: ChainSpec,
    environment: BlockEnvironment,
    transaction: TransactionHandle,
    *,
    trace: Callable[[bytes], None] | None = None,
    registry: CodeRegistry | None = None,
) -> TransactionOutcome:
    """
    Run one transaction on the newest state; the store stays as it is.

    Parameters
    ----------
    environment : the block it runs in.
    trace : called with one EIP-3155 JSON line (UTF-8, no newline) per step. Slow: it runs Python
        at every opcode.
    registry : compiled code to use and to feed; the outcome is the same without it. A trace uses none.

    Raises
    ------
    InvalidTransaction : it may not run in this block on this state; ``reason`` says which rule.

    Cost: releases the interpreter lock, unless ``trace`` is given.
    """
    fields = _native.execute_transaction(store, spec, environment, transaction, trace, registry)
    return outcome_from(fields)


def execute_transactions(
    store: Store,
    spec: ChainSpec,
    environment: BlockEnvironment,
    transactions: Sequence[TransactionHandle],
    *,
    commit: bool = False,
    registry: CodeRegistry | None = None,
    workers: int | None = None,
    keeps_record: bool = False,
) -> BatchOutcome:
    """
    Run transactions, each on what the ones before it left, as one block.

    Parameters
    ----------
    commit : keep the result: the store's newest block becomes ``environment.number``. Otherwise the
        store stays as it is.
    registry : as for :func:`execute_transaction`.
    workers : threads of the parallel executor, also where fewer would do; 0 is one for each core. None runs one
        transaction after the other. The outcome is the same.
    keeps_record : say also what the transactions accessed, and which depends on which.

    Raises
    ------
    InvalidTransaction : one may not run; ``index`` says which. The store stays as it is.

    Cost: releases the interpreter lock.
    """
    fields: dict[str, Any] = _native.execute_transactions(
        store, spec, environment, transactions, commit, registry, workers, keeps_record
    )
    fields["record"] = None if fields["record"] is None else record_from(fields["record"])
    fields["receipts"] = tuple(receipt_from(receipt) for receipt in fields["receipts"])
    return BatchOutcome(**fields)


def run_code(
    spec: ChainSpec,
    code: bytes,
    calldata: bytes = b"",
    *,
    gas_limit: Gas,
    value_wei: Wei = Wei(0),
    trace: Callable[[bytes], None] | None = None,
    registry: CodeRegistry | None = None,
) -> TransactionOutcome:
    """
    Run bytecode as one message call in an empty world; no transaction cost is charged.

    Parameters
    ----------
    code : runtime bytecode. calldata : its input.
    gas_limit : gas the call starts with.
    trace, registry : as for :func:`execute_transaction`.

    Cost: releases the interpreter lock, unless ``trace`` is given; bounded by ``gas_limit``.
    """
    return outcome_from(_native.run_code(spec, code, calldata, gas_limit, value_wei, trace, registry))


bench_transaction = _native.bench_transaction
compare_tiers = _native.compare_tiers
