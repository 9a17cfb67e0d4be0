"""
Transactions in the executable specification: run one after the other, each included or refused.

Runs inside `.venv-oracle` only.
"""

from __future__ import annotations

from typing import Any

from tests.differential.oracle_spec import SpecificationFork, hexed, load_fork, unhex

__all__ = ["drop_refused_entry", "include", "run_transactions"]


def run_transactions(request: dict[str, Any]) -> dict[str, Any]:
    """
    Run transactions in order on one state without system calls, withdrawals or rewards.

    A transaction that may not be included leaves no trace and is reported with the specification's
    error class.
    """
    spec = load_fork(request["fork"])
    state = spec.build_state(request["alloc"])
    environment = spec.environment(state, int(request["chain_id"], 16), request["environment"])
    output = spec.vm.BlockOutput()
    outcomes = [include(spec, environment, output, unhex(raw), rooted=True) for raw in request["transactions"]]
    drop_refused_entry(spec, output)
    return {
        "transactions": outcomes,
        "state_root": hexed(spec.state.state_root(state)),
        "receipts_root": hexed(spec.trie.root(output.receipts_trie)),
        "transactions_root": hexed(spec.trie.root(output.transactions_trie)),
        "logs_bloom": hexed(spec.bloom.logs_bloom(output.block_logs)),
        "gas_used": int(output.block_gas_used),
        "post": spec.describe_state(state),
    }


def drop_refused_entry(spec: SpecificationFork, output: Any) -> None:
    # The specification enters a transaction into the trie before it checks it.
    index = spec.rlp.encode(spec.numeric.Uint(len(output.receipt_keys)))
    spec.trie.trie_set(output.transactions_trie, index, None)


def include(spec: SpecificationFork, environment: Any, output: Any, raw: bytes, *, rooted: bool) -> dict[str, Any]:
    """
    Run one transaction as the next of the block, or say why it may not be.

    ``rooted`` adds the state root after it, which takes most of the time when the state is large.
    """
    snapshot = spec.snapshot(environment.state)
    gas_before, logs_before = int(output.block_gas_used), len(output.block_logs)
    try:
        transaction = spec.decode_transaction(raw)
        index = spec.numeric.Uint(len(output.receipt_keys))
        spec.fork.process_transaction(environment, output, transaction, index)
    except spec.refusals as refusal:
        spec.restore(environment.state, snapshot)
        return {"accepted": False, "refusal": f"{type(refusal).__name__}: {refusal}"}
    created = spec.created if spec.status() == "success" else None
    return {
        "accepted": True,
        "status": spec.status(),
        "error": "" if spec.call_output.error is None else type(spec.call_output.error).__name__,
        "gas_used": int(output.block_gas_used) - gas_before,
        "gas_refunded": spec.gas_refunded(int(transaction.gas)),
        "output": "0x" if spec.frame is None else hexed(spec.frame.output),
        "contract_address": None if created is None else hexed(created),
        "logs": [
            {"address": hexed(log.address), "topics": [hexed(topic) for topic in log.topics], "data": hexed(log.data)}
            for log in output.block_logs[logs_before:]
        ],
        "state_root": hexed(spec.state.state_root(environment.state)) if rooted else None,
    }
