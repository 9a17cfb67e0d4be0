"""
EIP-712 digests and signatures of requests, receipts and batches.

A signature has one encoding: 65 bytes, s in the lower half of the curve order, v 27 or 28. The digests' types stand in
docs/receipts.md; tests compare them with another implementation's.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from metis.ai.receipt.fields import Domain, Receipt, Request
from metis.engine import keccak256, recover_address, sign_hash
from metis.types import Address, DecodeError, Hash32, InvalidReceipt

__all__ = [
    "RECEIPT_TYPE",
    "REQUEST_TYPE",
    "SIGNATURE_BYTES",
    "access_digest",
    "batch_digest",
    "receipt_digest",
    "request_digest",
    "sign_digest",
    "sign_receipt",
    "sign_request",
    "signer_of",
]

SIGNATURE_BYTES: Final = 65

_DOMAIN_TYPE: Final = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
REQUEST_TYPE: Final = (
    "InferenceRequest(address payer,address worker,bytes32 model,bytes32 body,uint256 maxCostWei,uint64 nonce,"
    "uint64 deadlineS)"
)
RECEIPT_TYPE: Final = (
    "ExecutionReceipt(bytes32 task,address payer,address worker,bytes32 model,bytes32 inputs,bytes32 outputs,"
    "bytes32 trace,uint32 runs,uint64 units,uint256 priceWei,uint256 costWei,uint256 maxCostWei,uint64 nonce,"
    "uint64 issuedAtS,uint8 mode,uint32 unproven,uint16 graphVersion,uint16 traceVersion,uint16 meterVersion)"
)
_BATCH_TYPE: Final = "ReceiptBatch(address worker,uint64 number,uint32 count,uint256 costWei,bytes32 root)"
_ACCESS_TYPE: Final = "TaskAccess(bytes32 task,string action,uint64 deadlineS)"
_NAME: Final = keccak256(b"Metis Inference")
_VERSION: Final = keccak256(b"1")


def _word(value: bytes | int) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def _digest(domain: Domain, type_text: str, *values: bytes | int) -> Hash32:
    separator = keccak256(
        keccak256(_DOMAIN_TYPE.encode()) + _NAME + _VERSION + _word(domain.chain_id) + _word(domain.contract)
    )
    struct = keccak256(keccak256(type_text.encode()) + b"".join(map(_word, values)))
    return keccak256(b"\x19\x01" + separator + struct)


def request_digest(domain: Domain, request: Request) -> Hash32:
    """What the payer signs; it names the task."""
    return _digest(
        domain,
        REQUEST_TYPE,
        request.payer,
        request.worker,
        request.model,
        request.body,
        request.max_cost_wei,
        request.nonce,
        request.deadline_s,
    )


def receipt_digest(receipt: Receipt) -> Hash32:
    """What the worker signs. The task is in it, and in the task body and deadline."""
    request = receipt.request
    return _digest(
        receipt.domain,
        RECEIPT_TYPE,
        request_digest(receipt.domain, request),
        request.payer,
        request.worker,
        request.model,
        receipt.inputs,
        receipt.outputs,
        receipt.trace,
        receipt.runs,
        receipt.units,
        receipt.price_wei,
        receipt.cost_wei,
        request.max_cost_wei,
        request.nonce,
        receipt.issued_at_s,
        receipt.mode,
        receipt.unproven,
        receipt.graph_version,
        receipt.trace_version,
        receipt.meter_version,
    )


def batch_digest(domain: Domain, worker: Address, number: int, count: int, cost_wei: int, root: bytes) -> Hash32:
    """What the worker signs for a batch of receipts."""
    return _digest(domain, _BATCH_TYPE, worker, number, count, cost_wei, root)


def access_digest(domain: Domain, task: bytes, action: str, deadline_s: int) -> Hash32:
    """What a payer signs to ask about a task of its own: ``action`` is "read" or "cancel"."""
    return _digest(domain, _ACCESS_TYPE, task, keccak256(action.encode()), deadline_s)


def sign_digest(digest: bytes, private_key: bytes) -> bytes:
    """Sign 32 bytes: r, s and v (27 or 28). Raises :class:`metis.types.DecodeError` for no key."""
    y_parity, r, s = sign_hash(digest, private_key)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + y_parity])


def sign_request(domain: Domain, request: Request, private_key: bytes) -> bytes:
    """The payer's signature."""
    return sign_digest(request_digest(domain, request), private_key)


def sign_receipt(receipt: Receipt, private_key: bytes) -> Receipt:
    """The receipt with the worker's signature."""
    return dataclasses.replace(receipt, worker_signature=sign_digest(receipt_digest(receipt), private_key))


def signer_of(digest: bytes, signature: bytes) -> Address:
    """
    Whose key signed 32 bytes.

    Raises
    ------
    InvalidReceipt : the signature is not in its one encoding, or nobody's.
    """
    if len(signature) != SIGNATURE_BYTES or signature[64] not in (27, 28):
        raise InvalidReceipt("signature", "it is not r, s and v of 65 bytes with v 27 or 28")
    try:
        return Address(recover_address(digest, signature[64] == 28, signature[:32], signature[32:64]))
    except DecodeError as error:
        raise InvalidReceipt("signature", error.problem) from None
