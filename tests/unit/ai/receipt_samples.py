"""A signed receipt with all that it can be checked with, and hands that change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from metis.ai import Evaluator, Model
from metis.ai.file import ModelFile
from metis.ai.receipt import (
    GRAPH_VERSION,
    METER_VERSION,
    TRACE_VERSION,
    Domain,
    Mode,
    Receipt,
    Request,
    sign_receipt,
    sign_request,
    units_of_run,
)
from metis.ai.receipt.fields import unproven_of
from metis.ai.verify import ReceiptFile, execute
from metis.engine import address_of, keccak256
from metis.types import Address, TimestampS, Wei
from tests.unit.ai.small_models import layers

PAYER_KEY, WORKER_KEY, STRANGER_KEY = (bytes([number]) * 32 for number in (1, 2, 3))
DOMAIN = Domain(7133717, Address(bytes(19) + b"\xaa"))
MODEL = layers(5)
PRICE_WEI = Wei(7)


def model_file(model: Model = MODEL) -> ModelFile:
    return ModelFile.of(model)


def inputs(runs: int = 2) -> list[dict[str, Any]]:
    random = np.random.default_rng(5)
    return [{"x": random.integers(-100, 100, (2, 4)).astype(np.int8)} for _ in range(runs)]


def request(model: Model = MODEL, **changes: Any) -> Request:
    payer, worker = Address(address_of(PAYER_KEY)), Address(address_of(WORKER_KEY))
    made = Request(payer, worker, model.id, keccak256(b"body"), Wei(10**9), 4, TimestampS(2_000_000_000))
    return dataclasses.replace(made, **changes)


def receipt_file(
    model: Model = MODEL, given: Sequence[dict[str, Any]] | None = None, domain: Domain = DOMAIN, **changes: Any
) -> ReceiptFile:
    """What an honest worker answers with; ``changes`` are fields of the request."""
    evaluator = Evaluator(model)
    given = inputs() if given is None else given
    done = execute(evaluator, given)
    asked = request(model, **changes)
    cost = evaluator.proven.cost
    units = len(given) * units_of_run(cost.macs, cost.moved_bytes)
    receipt = Receipt(
        domain,
        asked,
        done.inputs,
        done.outputs,
        done.trace,
        len(given),
        units,
        PRICE_WEI,
        Wei(units * PRICE_WEI),
        TimestampS(1_900_000_000),
        Mode.REEXECUTION,
        unproven_of(asked),
        GRAPH_VERSION,
        TRACE_VERSION,
        METER_VERSION,
        sign_request(domain, asked, PAYER_KEY),
    )
    return ReceiptFile(
        sign_receipt(receipt, WORKER_KEY),
        tuple({name: value.tobytes() for name, value in run.items()} for run in given),
        tuple({name: value.tobytes() for name, value in run.run.outputs.items()} for run in done.runs),
        tuple(run.trace.commitments for run in done.runs),
    )


def signed_again(file: ReceiptFile, **changes: Any) -> ReceiptFile:
    """A receipt whose worker lies about some fields, and signs that."""
    return dataclasses.replace(file, receipt=sign_receipt(dataclasses.replace(file.receipt, **changes), WORKER_KEY))


def each_bit(raw: bytes, step: int = 1) -> list[bytes]:
    """The bytes with one bit changed, for every ``step``-th bit."""
    changed = []
    for bit in range(0, 8 * len(raw), step):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        changed.append(bytes(flipped))
    return changed


Change = Callable[[ReceiptFile], ReceiptFile]
