"""Blocks as the Engine API writes them: payload → RLP, and block → payload. Source: execution-apis, ``src/engine``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from metis.engine import BlockHandle, keccak256
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.rlp import encode_bytes, encode_list, encode_number
from metis.rpc.namespaces.trie_root import list_root
from metis.rpc.parameters import address, data, data_of, hash32, list_of, object_of, quantity, quantity_of
from metis.types import Withdrawal

__all__ = [
    "EMPTY_REQUESTS_HASH",
    "execution_payload",
    "payload_block",
    "payload_fields",
    "requests_hash",
    "withdrawal",
]

_u64 = quantity_of(64)
EMPTY_OMMERS_HASH = keccak256(encode_list(()))
EMPTY_REQUESTS_HASH = hashlib.sha256(b"").digest()
NONCE = bytes(8)

_withdrawal_fields = object_of(
    {"index": _u64, "validatorIndex": _u64, "address": address, "amount": _u64},
    frozenset({"index", "validatorIndex", "address", "amount"}),
)


def withdrawal(value: Any) -> Withdrawal:
    """Parse WithdrawalV1."""
    fields = _withdrawal_fields(value)
    return Withdrawal(fields["index"], fields["validatorIndex"], fields["address"], fields["amount"])


_REQUIRED = {
    "parentHash": hash32,
    "feeRecipient": address,
    "stateRoot": hash32,
    "receiptsRoot": hash32,
    "logsBloom": data_of(256, "a bloom"),
    "prevRandao": hash32,
    "blockNumber": _u64,
    "gasLimit": _u64,
    "gasUsed": _u64,
    "timestamp": _u64,
    "extraData": data,
    "baseFeePerGas": quantity,
    "blockHash": hash32,
    "transactions": list_of(data),
}

payload_fields = object_of(
    _REQUIRED | {"withdrawals": list_of(withdrawal), "blobGasUsed": _u64, "excessBlobGas": _u64},
    frozenset(_REQUIRED),
)
"""Parser of ExecutionPayloadV1 to V3; which of the later fields must be there is the method's business."""


def requests_hash(requests: Sequence[bytes]) -> bytes:
    """Hash of execution requests (EIP-7685); those without data do not count."""
    digests = (hashlib.sha256(request).digest() for request in requests if len(request) > 1)
    return hashlib.sha256(b"".join(digests)).digest()


def payload_block(
    payload: dict[str, Any], beacon_root: bytes | None = None, requests: Sequence[bytes] | None = None
) -> bytes:
    """Put the block of a payload together, as RLP. Its hash is the payload's only if the payload is honest."""
    withdrawals = payload.get("withdrawals")
    encoded_withdrawals = None if withdrawals is None else [_encode_withdrawal(entry) for entry in withdrawals]
    header = [
        encode_bytes(payload["parentHash"]),
        encode_bytes(EMPTY_OMMERS_HASH),
        encode_bytes(payload["feeRecipient"]),
        encode_bytes(payload["stateRoot"]),
        encode_bytes(list_root(payload["transactions"])),
        encode_bytes(payload["receiptsRoot"]),
        encode_bytes(payload["logsBloom"]),
        encode_number(0),
        encode_number(payload["blockNumber"]),
        encode_number(payload["gasLimit"]),
        encode_number(payload["gasUsed"]),
        encode_number(payload["timestamp"]),
        encode_bytes(payload["extraData"]),
        encode_bytes(payload["prevRandao"]),
        encode_bytes(NONCE),
        encode_number(payload["baseFeePerGas"]),
    ]
    if encoded_withdrawals is not None:
        header.append(encode_bytes(list_root(encoded_withdrawals)))
    if "blobGasUsed" in payload:
        header += [encode_number(payload["blobGasUsed"]), encode_number(payload.get("excessBlobGas", 0))]
    if beacon_root is not None:
        header.append(encode_bytes(beacon_root))
    if requests is not None:
        header.append(encode_bytes(requests_hash(requests)))
    # A typed transaction is a string in the body, a legacy one a list.
    transactions = [raw if raw[:1] >= b"\xc0" else encode_bytes(raw) for raw in payload["transactions"]]
    body = [encode_list(header), encode_list(transactions), encode_list(())]
    if encoded_withdrawals is not None:
        body.append(encode_list(encoded_withdrawals))
    return encode_list(body)


def _encode_withdrawal(entry: Withdrawal) -> bytes:
    return encode_list(
        (
            encode_number(entry.index),
            encode_number(entry.validator_index),
            encode_bytes(entry.address),
            encode_number(entry.amount_gwei),
        )
    )


def execution_payload(block: BlockHandle) -> dict[str, Any]:
    """Write a block as the newest ExecutionPayload that its header fits."""
    header, body = block.header_fields(), block.body_fields()
    payload: dict[str, Any] = {
        "parentHash": hex_data(header["parent_hash"]),
        "feeRecipient": hex_data(header["beneficiary"]),
        "stateRoot": hex_data(header["state_root"]),
        "receiptsRoot": hex_data(header["receipts_root"]),
        "logsBloom": hex_data(header["logs_bloom"]),
        "prevRandao": hex_data(header["prev_randao"]),
        "blockNumber": hex(header["number"]),
        "gasLimit": hex(header["gas_limit"]),
        "gasUsed": hex(header["gas_used"]),
        "timestamp": hex(header["timestamp_s"]),
        "extraData": hex_data(header["extra_data"]),
        "baseFeePerGas": hex(header["base_fee_per_gas_wei"] or 0),
        "blockHash": hex_data(block.hash),
        "transactions": [hex_data(transaction.raw) for transaction in body["transactions"]],
    }
    if body["withdrawals"] is not None:
        payload["withdrawals"] = [
            {"index": hex(index), "validatorIndex": hex(validator), "address": hex_data(to), "amount": hex(amount)}
            for index, validator, to, amount in body["withdrawals"]
        ]
    if header.get("blob_gas_used") is not None:
        payload["blobGasUsed"] = hex(header["blob_gas_used"])
        payload["excessBlobGas"] = hex(header["excess_blob_gas"])
    return payload
