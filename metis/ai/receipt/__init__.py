"""
Execution receipts: what was run for whom, at what price, signed by both, in one encoding.

In: a request that the payer signed, what the run committed to. Out: canonical bytes, and an error that names the field
where they are not a receipt. Invariant: both signatures cover the price, the nonce, the model, the chain and the
contract; nothing that a receipt says of money is outside them. Source: docs/receipts.md, EIP-712, EIP-2.
"""

from metis.ai.receipt.batch import Batch, batch_leaf, verify_in_batch
from metis.ai.receipt.checks import GRAPH_VERSION, TRACE_VERSION, Expected, check_receipt
from metis.ai.receipt.commitments import inputs_commitment, outputs_commitment, traces_root
from metis.ai.receipt.encoding import RECEIPT_BYTES, decode_receipt, encode_receipt
from metis.ai.receipt.fields import Domain, Mode, Receipt, Request, Unproven
from metis.ai.receipt.headers import HEADERS, body_hash, headers_of
from metis.ai.receipt.metering import METER_VERSION, units_of_run
from metis.ai.receipt.signing import (
    access_digest,
    batch_digest,
    receipt_digest,
    request_digest,
    sign_digest,
    sign_receipt,
    sign_request,
    signer_of,
)

__all__ = [
    "GRAPH_VERSION",
    "HEADERS",
    "METER_VERSION",
    "RECEIPT_BYTES",
    "TRACE_VERSION",
    "Batch",
    "Domain",
    "Expected",
    "Mode",
    "Receipt",
    "Request",
    "Unproven",
    "access_digest",
    "batch_digest",
    "batch_leaf",
    "body_hash",
    "check_receipt",
    "decode_receipt",
    "encode_receipt",
    "headers_of",
    "inputs_commitment",
    "outputs_commitment",
    "receipt_digest",
    "request_digest",
    "sign_digest",
    "sign_receipt",
    "sign_request",
    "signer_of",
    "traces_root",
    "units_of_run",
    "verify_in_batch",
]
