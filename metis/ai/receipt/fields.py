"""What a payer signs, and what a worker answers with; docs/receipts.md."""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

from metis.types import Address, Hash32, TimestampS, Wei

__all__ = ["OPEN_BODY", "Domain", "Mode", "Receipt", "Request", "Unproven", "unproven_of"]

OPEN_BODY: Final = Hash32(bytes(32))
"""The body of a request that the payer leaves open: whatever is sent with it, up to the price."""


@dataclasses.dataclass(frozen=True, slots=True)
class Domain:
    """
    Where signatures count, and nowhere else (EIP-712).

    Attributes
    ----------
    chain_id : of the chain that settles; from 1 to 2^63 - 1.
    contract : 20 bytes, the contract that settles.
    """

    chain_id: int
    contract: Address


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """
    What a payer authorises: one task, once.

    Attributes
    ----------
    payer, worker : who pays, and who alone may be paid.
    model : the id of the model.
    body : Keccak-256 of method, path and body of the HTTP request; :data:`OPEN_BODY` leaves it open.
    max_cost_wei : the most that the task may cost.
    nonce : greater than that of every request of the payer that the worker has taken.
    deadline_s : the worker does not take it later.
    """

    payer: Address
    worker: Address
    model: Hash32
    body: Hash32
    max_cost_wei: Wei
    nonce: int
    deadline_s: TimestampS


class Mode(enum.IntEnum):
    """How a receipt may be checked. There is one so far."""

    REEXECUTION = 1
    """Anyone with model and inputs computes the same bits; one operator is enough to show a wrong one."""


class Unproven(enum.IntFlag):
    """What a receipt does not prove, said in it."""

    CORRECTNESS = 1
    """That the outputs are right: nobody but the worker has run the model when it signs. Check it."""
    TIME = 2
    """When it was run: the time is the worker's word."""
    TEXT = 4
    """That the inputs are the body's: tokens are made of it by the tokenizer, which the trace does not cover."""
    PRIVACY = 8
    """That nobody else has seen the inputs: the worker has."""
    BODY = 16
    """That the payer asked this: the payer left the body open."""


@dataclasses.dataclass(frozen=True, slots=True)
class Receipt:
    """
    A task that was executed.

    Attributes
    ----------
    domain, request : what the payer signed.
    inputs, outputs : commitments of what went in and came out, over all runs.
    trace : root over the traces of all runs.
    runs : how often the model ran.
    units : metered, by the rule ``meter_version``.
    price_wei : of one unit. cost_wei : what the task costs, ``units * price_wei``.
    issued_at_s : when the worker signed, by its own clock.
    unproven : what the receipt does not prove.
    payer_signature, worker_signature : r, s and v, 65 bytes each; v is 27 or 28, s is low.
    """

    domain: Domain
    request: Request
    inputs: Hash32
    outputs: Hash32
    trace: Hash32
    runs: int
    units: int
    price_wei: Wei
    cost_wei: Wei
    issued_at_s: TimestampS
    mode: Mode
    unproven: Unproven
    graph_version: int
    trace_version: int
    meter_version: int
    payer_signature: bytes
    worker_signature: bytes = b""


def unproven_of(request: Request) -> Unproven:
    """What a receipt of this request does not prove, in the only mode."""
    always = Unproven.CORRECTNESS | Unproven.TIME | Unproven.TEXT | Unproven.PRIVACY
    return always | Unproven.BODY if request.body == OPEN_BODY else always
