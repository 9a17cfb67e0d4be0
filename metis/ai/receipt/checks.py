"""What can be said of a receipt without its model: fields, price, signatures."""

from __future__ import annotations

import dataclasses

from metis.ai.receipt.fields import Domain, Receipt, unproven_of
from metis.ai.receipt.metering import METER_VERSION
from metis.ai.receipt.signing import receipt_digest, request_digest, signer_of
from metis.types import Address, Hash32, InvalidReceipt

__all__ = ["GRAPH_VERSION", "TRACE_VERSION", "Expected", "check_receipt"]

GRAPH_VERSION = 1
TRACE_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """What a receipt should be about, as far as the reader knows; None is anything."""

    domain: Domain | None = None
    payer: Address | None = None
    worker: Address | None = None
    model: Hash32 | None = None
    nonce: int | None = None


def check_receipt(receipt: Receipt, expected: Expected | None = None) -> None:
    """
    Check that a receipt is what is expected, that its price is authorised and right, and that both have signed it.

    Raises
    ------
    InvalidReceipt : the field is "chain", "contract", "payer", "worker", "model", "nonce", "versions", "unproven",
        "runs", "cost", "max-cost", "payer-signature" or "worker-signature".
    """
    request = receipt.request
    if expected is not None:
        _check_expected(receipt, expected)
    versions = (receipt.graph_version, receipt.trace_version, receipt.meter_version)
    if versions != (GRAPH_VERSION, TRACE_VERSION, METER_VERSION):
        raise InvalidReceipt("versions", f"{versions} of graph, trace and meter; this release knows 1 of each")
    if receipt.unproven != unproven_of(request):
        raise InvalidReceipt("unproven", "it does not say what such a receipt does not prove")
    if not receipt.runs:
        raise InvalidReceipt("runs", "a task without a run is not one")
    if receipt.cost_wei != receipt.units * receipt.price_wei:
        raise InvalidReceipt("cost", f"{receipt.cost_wei} is not {receipt.units} units of {receipt.price_wei} wei")
    if receipt.cost_wei > request.max_cost_wei:
        raise InvalidReceipt(
            "max-cost", f"{receipt.cost_wei} is more than {request.max_cost_wei}, which was authorised"
        )
    _check_signer("payer", request_digest(receipt.domain, request), receipt.payer_signature, request.payer)
    _check_signer("worker", receipt_digest(receipt), receipt.worker_signature, request.worker)


def _check_expected(receipt: Receipt, expected: Expected) -> None:
    request, domain = receipt.request, expected.domain
    if domain is not None and receipt.domain.chain_id != domain.chain_id:
        raise InvalidReceipt("chain", f"{receipt.domain.chain_id} instead of {domain.chain_id}")
    if domain is not None and receipt.domain.contract != domain.contract:
        raise InvalidReceipt("contract", f"0x{receipt.domain.contract.hex()} instead of 0x{domain.contract.hex()}")
    for field in ("payer", "worker", "model"):
        wanted, found = getattr(expected, field), getattr(request, field)
        if wanted is not None and found != wanted:
            raise InvalidReceipt(field, f"0x{found.hex()} instead of 0x{wanted.hex()}")
    if expected.nonce is not None and request.nonce != expected.nonce:
        raise InvalidReceipt("nonce", f"{request.nonce} instead of {expected.nonce}")


def _check_signer(who: str, digest: bytes, signature: bytes, signer: bytes) -> None:
    try:
        found = signer_of(digest, signature)
    except InvalidReceipt as error:
        raise InvalidReceipt(f"{who}-signature", error.problem) from None
    if found != signer:
        problem = f"the {who} 0x{signer.hex()} has not signed this; whoever did has the address 0x{found.hex()}"
        raise InvalidReceipt(f"{who}-signature", problem)
