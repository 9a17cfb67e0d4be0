"""Having a block built for somebody else: the attributes they give, and the answer they get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.payloads import execution_payload, withdrawal
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
    answer: dict[str, Any] = {"executionPayload": shown, "blockValue": hex(built["tips_wei"])}
    if version >= 3:
        answer |= {"blobsBundle": _bundle(built["blobs"]), "shouldOverrideBuilder": False}
    if version >= 4:
        answer["executionRequests"] = [hex_data(request) for request in built["requests"]]
    return answer


def _bundle(blobs: Sequence[tuple[bytes, bytes, Sequence[bytes]]]) -> dict[str, Any]:
    """Write BlobsBundleV1, or V2 where the proofs are of cells."""
    return {
        "commitments": [hex_data(commitment) for _, commitment, _ in blobs],
        "proofs": [hex_data(proof) for _, _, proofs in blobs for proof in proofs],
        "blobs": [hex_data(blob) for blob, _, _ in blobs],
    }
