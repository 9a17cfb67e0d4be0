"""testing_buildBlockV1: build a block of given transactions. Source: execution-apis, ``src/testing``."""

from __future__ import annotations

from functools import partial
from typing import Any

from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.built_payload import block_attributes, payload_answer, payload_attributes
from metis.rpc.parameters import data, hash32, list_of
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Hash32

__all__ = ["register_testing"]


def register_testing(registry: MethodRegistry, backend: Backend) -> None:
    """Add the testing namespace."""

    @registry.asynchronous(
        "testing_buildBlockV1",
        Parameter("parent_hash", hash32),
        Parameter("attributes", payload_attributes),
        Parameter("transactions", list_of(data), None),
        Parameter("extra_data", data, b""),
    )
    async def build_block(
        parent_hash: Hash32, fields: dict[str, Any], transactions: list[bytes] | None, extra_data: bytes
    ) -> dict[str, Any]:
        """Build a block on the head without adding it; without transactions it takes the pool's."""
        if backend.node.head_hash != parent_hash:
            raise RpcError(ErrorCode.INVALID_INPUT, "the parent is not the head of the chain")
        built = await backend.build_payload(partial(block_attributes, fields, extra_data), transactions)
        return payload_answer(built, 4)
