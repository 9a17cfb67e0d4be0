"""The demonstration as one JSON object. Amounts of wei are decimal text: they outgrow JSON's numbers."""

from __future__ import annotations

from typing import Any

from metis.cli.demo_run import DemoBlock, DemoResult, Inclusion, Refusal

__all__ = ["demo_object"]


def demo_object(result: DemoResult) -> dict[str, Any]:
    """Everything :class:`DemoResult` holds, except the blocks' bytes; 32-byte values as bytes."""
    mainnet = result.mainnet
    proof = result.proof
    return {
        "passed": result.passed,
        "problems": list(result.problems),
        "network": {
            "name": result.network.name,
            "chain_id": result.network.chain.chain_id,
            "fork": result.network.chain.fork,
            "parts": {
                "state_store": result.network.state_store.name,
                "virtual_machine": result.network.virtual_machine.name,
                "executor": result.network.executor.name,
                "fee_policy": result.network.fee_policy.name,
            },
        },
        "genesis": {"hash": result.genesis.hash, "state_root": result.genesis.state_root},
        "blocks": [_block(block) for block in result.blocks],
        "reexecution": {
            "agrees": not any(problem.startswith("re-execution") for problem in result.problems),
            "milliseconds": round(result.reexecution_ms, 3),
        },
        "base_fees": {
            "paid_wei": str(result.base_fees_wei),
            "collected_wei": None if result.collected_wei is None else str(result.collected_wei),
        },
        "proof": {
            "contract": proof.proof.address,
            "slot": hex(proof.slot),
            "balance": str(proof.balance),
            "node_count": len(proof.proof.nodes) + sum(len(entry.nodes) for entry in proof.proof.storage_proofs),
            "size_bytes": proof.size_bytes,
            "forgery_refused": proof.forgery_refused,
        },
        "mainnet_block": None
        if mainnet is None
        else {
            "transaction_count": len(mainnet.replay.outcome.receipts),
            "gas_used": mainnet.replay.outcome.gas_used,
            "log_count": mainnet.replay.log_count,
            "different_log_count": len(mainnet.replay.differences),
            "milliseconds": round(mainnet.execute_ms, 3),
        },
    }


def _block(block: DemoBlock) -> dict[str, Any]:
    header = block.block.header
    return {
        "number": header.number,
        "hash": header.hash,
        "state_root": header.state_root,
        "transactions_root": header.transactions_root,
        "receipts_root": header.receipts_root,
        "gas_used": header.gas_used,
        "base_fee_per_gas_wei": str(header.base_fee_per_gas_wei),
        "size_bytes": block.block.size_bytes,
        "transactions": [_inclusion(entry) for entry in block.included],
        "skipped": [_refusal(entry) for entry in block.refused],
        "decode_milliseconds": round(block.decode_ms, 3),
        "build_milliseconds": round(block.build_ms, 3),
    }


def _inclusion(entry: Inclusion) -> dict[str, Any]:
    return {
        "what": entry.step.what,
        "hash": entry.transaction.hash,
        "type": entry.transaction.type,
        "from": entry.transaction.sender,
        "to": entry.transaction.to,
        "contract_address": entry.receipt.contract_address,
        "result": entry.result,
        "explanation": entry.explanation,
        "gas_used": entry.receipt.gas_used,
        "blob_gas_used": entry.receipt.blob_gas_used,
        "fee_wei": str(entry.fee_wei),
        "log_count": len(entry.receipt.logs),
    }


def _refusal(entry: Refusal) -> dict[str, Any]:
    return {
        "what": entry.step.what,
        "hash": entry.transaction.hash,
        "type": entry.transaction.type,
        "from": entry.transaction.sender,
        "reason": entry.error.reason,
        "field": entry.error.field,
        "detail": entry.error.detail,
    }
