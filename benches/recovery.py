"""Decoding and recovering senders: a batch in the engine against eth-account, one transaction at a time."""

from __future__ import annotations

from eth_account import Account

from benches.harness import Measurement, measure
from metis.engine import decode_transactions

BATCH_COUNT = 64


def signed_batch() -> list[bytes]:
    """EIP-1559 transfers, signed by a fixed key, so that every run measures the same bytes."""
    sender = Account.from_key(bytes(31) + b"\x01")
    transfer = {
        "type": 2,
        "chainId": 1,
        "to": "0x" + "22" * 20,
        "value": 1,
        "gas": 21_000,
        "maxFeePerGas": 10**9,
        "maxPriorityFeePerGas": 10**9,
        "data": b"",
    }
    return [
        bytes(sender.sign_transaction({**transfer, "nonce": nonce}).raw_transaction) for nonce in range(BATCH_COUNT)
    ]


def run(budget_s: float) -> list[Measurement]:
    """Measure the batch on one thread, on all, and with eth-account."""
    batch = signed_batch()
    contenders = {
        "metis, all cores": lambda: decode_transactions(batch),
        "metis, one thread": lambda: decode_transactions(batch, threads=1),
        "eth-account": lambda: [Account.recover_transaction(raw) for raw in batch],
    }
    name = f"executor::recover_senders/count={BATCH_COUNT}"
    return measure(name, contenders, BATCH_COUNT, "transactions", budget_s)
