"""Having a block built for somebody else: the attributes they give, and the answer they get."""

from __future__ import annotations

from typing import Any

from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.payloads import EMPTY_REQUESTS_HASH, block_value_wei, execution_payload, withdrawal
from metis.rpc.parameters import address, hash32, list_of, object_of, quantity_of
from metis.types import BlockAttributes, Gas, Hash32, TimestampS

__all__ = ["block_attributes", "payload_answer", "payload_attributes"]

ZERO_HASH = bytes(32)

payload_attributes = object_of(
    {
        "timestamp": quantity_of(64),
        "prevRandao": hash32,
        "suggestedFeeRecipient": address,
        "withdrawals": list_of(withdrawal),
        "parentBeaconBlockRoot": hash32,
    },
    frozenset({"timestamp", "prevRandao", "suggestedFeeRecipient"}),
)
"""Parser of PayloadAttributesV1 to V3."""


def block_attributes(attributes: dict[str, Any], extra_data: bytes, gas_limit: Gas) -> BlockAttributes:
    """Make the engine's attributes of PayloadAttributes; the node adds the gas limit."""
    return BlockAttributes(
        timestamp_s=TimestampS(attributes["timestamp"]),
        beneficiary=attributes["suggestedFeeRecipient"],
        gas_limit=gas_limit,
        prev_randao=attributes["prevRandao"],
        extra_data=extra_data,
        parent_beacon_block_root=attributes.get("parentBeaconBlockRoot", Hash32(ZERO_HASH)),
        withdrawals=tuple(attributes.get("withdrawals", ())),
    )


def payload_answer(built: dict[str, Any], version: int) -> dict[str, Any]:
    """Write a built block as engine_getPayloadV<version> answers it."""
    block = built["block"]
    shown = execution_payload(block)
    if version == 1:
        return shown
    answer: dict[str, Any] = {
        "executionPayload": shown,
        "blockValue": hex(block_value_wei(block, built["receipts_json"])),
    }
    if version >= 3:
        answer |= {"blobsBundle": {"commitments": [], "proofs": [], "blobs": []}, "shouldOverrideBuilder": False}
    if version >= 4:
        answer["executionRequests"] = [hex_data(request) for request in _requests(built)]
    return answer


def _requests(built: dict[str, Any]) -> list[bytes]:
    """Execution requests of a built block; the engine names them where there are any."""
    if "requests" in built:
        return list(built["requests"])
    if built["block"].header_fields().get("requests_hash") in (None, EMPTY_REQUESTS_HASH):
        return []
    raise RpcError(ErrorCode.METHOD_NOT_SUPPORTED, "the block has execution requests, which this node does not keep")
