"""
Typed data that a person signs (EIP-712): eth_signTypedData, _v3 and _v4.

The library that encodes it is imported when it is needed: a node starts without it.
"""

from __future__ import annotations

from typing import Any

import orjson

from metis.engine import keccak256
from metis.rpc.errors import ErrorCode, InvalidParameter, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.parameters import address, any_json
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Address

__all__ = ["register_typed_data", "typed_data_hash"]

_PARAMETERS = (Parameter("address", address), Parameter("typed_data", any_json))


def register_typed_data(registry: MethodRegistry, backend: Backend) -> None:
    """Add the methods that sign typed data with the node's own keys."""
    signer = backend.signer

    @registry.pool("eth_signTypedData_v4", *_PARAMETERS)
    def sign_typed_data(account: Address, typed_data: Any) -> str:
        """Sign typed data (EIP-712) with one of the node's keys; the data may be an object or its JSON text."""
        if not signer.has(account):
            raise RpcError(ErrorCode.INVALID_INPUT, f"unknown account: this node has no key for {hex_data(account)}")
        return hex_data(signer.sign_hash(account, typed_data_hash(typed_data)))

    # Version 3 has neither arrays nor null structures; what it can say, version 4 says the same.
    registry.alias("eth_signTypedData_v3", "eth_signTypedData_v4")
    # The name that EIP-712 itself gives it.
    registry.alias("eth_signTypedData", "eth_signTypedData_v4")


def typed_data_hash(typed_data: Any) -> bytes:
    """
    Hash typed data for signing.

    Raises
    ------
    InvalidParameter : it is not typed data.
    """
    from eth_account.messages import encode_typed_data

    try:
        document = orjson.loads(typed_data) if isinstance(typed_data, str) else typed_data
        message = encode_typed_data(full_message=document)
    except Exception as problem:
        # The library raises whatever its parts raise; all of it is about the client's data.
        raise InvalidParameter(1, "typed_data", f"is no typed data: {problem}") from problem
    return keccak256(b"\x19" + message.version + message.header + message.body)
