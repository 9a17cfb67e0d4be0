"""
engine_getBlobs: blobs of transactions in the pool, or mined lately, for a consensus driver that lacks them.

V1 has one proof per blob (EIP-4844), V2 has cell proofs (EIP-7594) and answers with all or nothing.
Source: execution-apis, ``src/engine/{cancun,osaka}.md``.
"""

from __future__ import annotations

from typing import Any

from metis.engine import Node
from metis.rpc.errors import RpcError
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.engine_errors import EngineErrorCode
from metis.rpc.parameters import hash32, list_of
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Hash32

__all__ = ["register_blobs"]

HASH_COUNT_MAX = 128


def register_blobs(registry: MethodRegistry, node: Node) -> None:
    """Add engine_getBlobsV1 and V2."""
    hashes = Parameter("blob_versioned_hashes", list_of(hash32))

    def find(wanted: list[Hash32]) -> list[tuple[bytes, bytes, list[bytes]] | None]:
        if len(wanted) > HASH_COUNT_MAX:
            raise RpcError(EngineErrorCode.TOO_LARGE_REQUEST, f"at most {HASH_COUNT_MAX} blobs at a time")
        return node.blobs(wanted)

    def has_cell_proofs() -> bool:
        head = node.block(node.head_number)
        timestamp_s = 0 if head is None else head.header_fields()["timestamp_s"]
        return node.spec.fork_at(node.head_number, timestamp_s) == "Osaka"

    @registry.pool("engine_getBlobsV1", hashes)
    def get_blobs_v1(wanted: list[Hash32]) -> list[dict[str, Any] | None]:
        """Return blobs with their proofs; null for those that are not here."""
        if has_cell_proofs():
            raise RpcError(EngineErrorCode.UNSUPPORTED_FORK, "from Osaka on ask engine_getBlobsV2")
        shown: list[dict[str, Any] | None] = []
        for found in find(wanted):
            proof = None if found is None or len(found[2]) != 1 else found[2][0]
            shown.append({"blob": hex_data(found[0]), "proof": hex_data(proof)} if found and proof else None)
        return shown

    @registry.pool("engine_getBlobsV2", hashes)
    def get_blobs_v2(wanted: list[Hash32]) -> list[dict[str, Any]] | None:
        """Return blobs with their cell proofs; null where one of them is not here."""
        shown: list[dict[str, Any]] = []
        for found in find(wanted):
            if found is None or len(found[2]) == 1:
                return None
            shown.append({"blob": hex_data(found[0]), "proofs": [hex_data(proof) for proof in found[2]]})
        return shown
