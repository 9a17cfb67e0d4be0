"""
The Engine API: a consensus driver hands blocks in, moves the head, and has blocks built.

In: payloads, over the listener with a token. Out: statuses. A block that arrives is executed, verified
and kept; only forkchoiceUpdated moves the head, never back to an ancestor, and says what is safe and finalized.
Not here: getPayloadBodies.
Source: execution-apis, ``src/engine/{paris,shanghai,cancun,prague,osaka}.md``.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Any

from metis.engine import decode_block
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.built_payload import block_attributes, payload_answer, payload_attributes
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.engine_blobs import register_blobs
from metis.rpc.namespaces.engine_errors import EngineErrorCode
from metis.rpc.namespaces.payloads import payload_block, payload_fields
from metis.rpc.namespaces.testing_api import register_testing
from metis.rpc.parameters import any_json, data, data_of, hash32, list_of, object_of
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Hash32, InvalidBlock, MetisError

__all__ = ["engine_registry"]

PAYLOAD_COUNT_MAX = 16
ZERO_HASH = bytes(32)

ETH_METHODS = frozenset(
    {
        "eth_blockNumber",
        "eth_call",
        "eth_chainId",
        "eth_getBlockByHash",
        "eth_getBlockByNumber",
        "eth_getCode",
        "eth_getLogs",
        "eth_sendRawTransaction",
        "eth_syncing",
    }
)
"""What a consensus client may also call (execution-apis, ``common.md``)."""


@dataclass(frozen=True, slots=True)
class _Payload:
    built: dict[str, Any]
    version: int


_forkchoice = object_of(
    {"headBlockHash": hash32, "safeBlockHash": hash32, "finalizedBlockHash": hash32},
    frozenset({"headBlockHash", "safeBlockHash", "finalizedBlockHash"}),
)


def engine_registry(backend: Backend, public: MethodRegistry) -> MethodRegistry:
    """Make the registry of the authenticated listener: engine_*, testing_*, and the eth_* methods that belong to it."""
    registry = MethodRegistry()
    registry.include(public, ETH_METHODS)
    _register(registry, backend)
    register_testing(registry, backend)
    return registry


def _register(registry: MethodRegistry, backend: Backend) -> None:
    node = backend.node
    payloads: OrderedDict[bytes, _Payload] = OrderedDict()
    payload = Parameter("payload", payload_fields)
    hashes = Parameter("blob_versioned_hashes", list_of(hash32))
    beacon_root = Parameter("parent_beacon_block_root", hash32)
    requests = Parameter("execution_requests", list_of(data))

    async def new_payload(
        version: int,
        fields: dict[str, Any],
        blob_hashes: list[Hash32] | None = None,
        root: Hash32 | None = None,
        execution_requests: list[bytes] | None = None,
    ) -> dict[str, Any]:
        _check_payload_version(version, fields)
        rlp = payload_block(fields, root, execution_requests)
        try:
            block = decode_block(rlp)
            if block.hash != fields["blockHash"]:
                return _status("INVALID", None, f"blockhash mismatch: want {hex_data(block.hash)}")
            if blob_hashes is not None and _blob_hashes(block) != blob_hashes:
                return _status("INVALID", None, "versioned hashes do not match those of the transactions")
            await backend.store_block(rlp)
        except InvalidBlock as problem:
            return _status("INVALID", fields["parentHash"], str(problem))
        except MetisError as problem:
            if problem.slug == "unknown-parent":
                return _status("SYNCING", None)
            if problem.slug == "decode":
                return _status("INVALID", None, str(problem))
            raise
        return _status("VALID", block.hash)

    async def forkchoice_updated(
        version: int, state: dict[str, Any], attributes: dict[str, Any] | None
    ) -> dict[str, Any]:
        head = state["headBlockHash"]
        if not node.is_known(head):
            return {"payloadStatus": _status("SYNCING", None), "payloadId": None}
        if node.head_hash != head:
            # SPEC: paris.md, engine_forkchoiceUpdatedV1, 2: a valid ancestor of the head is acknowledged, nothing is
            # built on it, and the update may be skipped, as go-ethereum does: drivers that lag would undo blocks.
            if node.number_of(head) is not None:
                return {"payloadStatus": _status("VALID", head), "payloadId": None}
            await backend.set_head(head)
        for name in ("safeBlockHash", "finalizedBlockHash"):
            if state[name] != ZERO_HASH and node.number_of(state[name]) is None:
                raise RpcError(EngineErrorCode.INVALID_FORKCHOICE_STATE, f"{name} is not an ancestor of the head")
        node.set_safe_finalized(_hash_or_none(state["safeBlockHash"]), _hash_or_none(state["finalizedBlockHash"]))
        payload_id = None
        if attributes is not None:
            _check_attributes(version, attributes, backend)
            payload_id = _payload_id(head, attributes, version)
            if payload_id not in payloads:
                make = partial(block_attributes, attributes, b"")
                payloads[payload_id] = _Payload(await backend.build_payload(make, None), version)
                while len(payloads) > PAYLOAD_COUNT_MAX:
                    payloads.popitem(last=False)
        shown_id = None if payload_id is None else hex_data(payload_id)
        return {"payloadStatus": _status("VALID", head), "payloadId": shown_id}

    def get_payload(version: int, payload_id: bytes) -> dict[str, Any]:
        found = payloads.get(payload_id)
        if found is None:
            raise RpcError(EngineErrorCode.UNKNOWN_PAYLOAD, "Unknown payload")
        header = found.built["block"].header_fields()
        fork = node.spec.fork_at(header["number"], header["timestamp_s"])
        if not _is_of_fork(version, fork):
            raise RpcError(EngineErrorCode.UNSUPPORTED_FORK, f"a payload of {fork} has another version than {version}")
        return payload_answer(found.built, version)

    @registry.asynchronous("engine_newPayloadV1", payload)
    async def new_payload_v1(fields: dict[str, Any]) -> dict[str, Any]:
        """Take a block of Paris."""
        return await new_payload(1, fields)

    @registry.asynchronous("engine_newPayloadV2", payload)
    async def new_payload_v2(fields: dict[str, Any]) -> dict[str, Any]:
        """Take a block of Paris or Shanghai."""
        return await new_payload(2, fields)

    @registry.asynchronous("engine_newPayloadV3", payload, hashes, beacon_root)
    async def new_payload_v3(fields: dict[str, Any], blob_hashes: list[Hash32], root: Hash32) -> dict[str, Any]:
        """Take a block of Cancun."""
        return await new_payload(3, fields, blob_hashes, root)

    @registry.asynchronous("engine_newPayloadV4", payload, hashes, beacon_root, requests)
    async def new_payload_v4(
        fields: dict[str, Any], blob_hashes: list[Hash32], root: Hash32, execution_requests: list[bytes]
    ) -> dict[str, Any]:
        """Take a block of Prague or Osaka."""
        return await new_payload(4, fields, blob_hashes, root, execution_requests)

    for version in (1, 2, 3):
        registry.asynchronous(
            f"engine_forkchoiceUpdatedV{version}",
            Parameter("state", _forkchoice),
            Parameter("attributes", payload_attributes, None),
        )(_documented(partial(forkchoice_updated, version), "Move the head, and maybe begin to build on it."))

    for version in (1, 2, 3, 4, 5):
        registry.hot(f"engine_getPayloadV{version}", Parameter("payload_id", data_of(8, "a payload id")))(
            _documented(partial(get_payload, version), "Return a block that was built on request.")
        )

    register_blobs(registry, node)

    @registry.hot("engine_exchangeCapabilities", Parameter("methods", any_json))
    def exchange_capabilities(_methods: Any) -> list[str]:
        """Return the methods that this node supports."""
        names = (method.name for method in registry if method.namespace == "engine")
        return [name for name in names if name != "engine_exchangeCapabilities"]

    @registry.hot("engine_getClientVersionV1", Parameter("client", any_json, None))
    def get_client_version(_client: Any) -> list[dict[str, str]]:
        """Return what this node is."""
        name, _, version = backend.client_version.partition("/")
        return [{"code": "MT", "name": name, "version": version.split("/")[0], "commit": "0x00000000"}]


def _is_of_fork(version: int, fork: str) -> bool:
    """Whether engine_getPayload of a version answers with payloads of a fork."""
    least = {"Shanghai": 2, "Cancun": 3, "Prague": 4, "Osaka": 5}.get(fork, 1)
    return version == least or (version, least) == (2, 1)


def _documented(function: Any, summary: str) -> Any:
    function.__doc__ = summary
    return function


def _status(status: str, latest_valid: bytes | None, problem: str | None = None) -> dict[str, Any]:
    shown = None if latest_valid is None else hex_data(latest_valid)
    return {"status": status, "latestValidHash": shown, "validationError": problem}


def _hash_or_none(value: bytes) -> bytes | None:
    return None if value == ZERO_HASH else value


def _blob_hashes(block: Any) -> list[bytes]:
    return [
        bytes(blob_hash)
        for transaction in block.body_fields()["transactions"]
        for blob_hash in transaction.fields()["blob_versioned_hashes"]
    ]


def _check_payload_version(version: int, fields: dict[str, Any]) -> None:
    has_withdrawals, has_blob_gas = "withdrawals" in fields, "blobGasUsed" in fields and "excessBlobGas" in fields
    wrong = (
        (version == 1 and (has_withdrawals or has_blob_gas))
        or (version == 2 and has_blob_gas)
        or (version >= 3 and not (has_withdrawals and has_blob_gas))
    )
    if wrong:
        raise RpcError(ErrorCode.INVALID_PARAMS, f"the payload does not have the fields of version {version}")


def _check_attributes(version: int, attributes: dict[str, Any], backend: Backend) -> None:
    head = backend.node.block(backend.node.head_number)
    if head is not None and attributes["timestamp"] <= head.header_fields()["timestamp_s"]:
        raise RpcError(EngineErrorCode.INVALID_PAYLOAD_ATTRIBUTES, "timestamp is not after the parent's")
    has_root = "parentBeaconBlockRoot" in attributes
    if (version < 3 and has_root) or (version == 3 and not (has_root and "withdrawals" in attributes)):
        words = f"the attributes do not have the fields of version {version}"
        raise RpcError(EngineErrorCode.INVALID_PAYLOAD_ATTRIBUTES, words)


def _payload_id(head: bytes, attributes: dict[str, Any], version: int) -> bytes:
    """Eight bytes that name a payload: the same for the same parent and attributes."""
    parts = repr((head, sorted(attributes.items()), version)).encode()
    return bytes([version]) + hashlib.sha256(parts).digest()[:7]
