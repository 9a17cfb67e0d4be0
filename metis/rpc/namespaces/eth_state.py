"""State of accounts: balances, nonces, code, storage, proofs."""

from __future__ import annotations

from typing import Any

import orjson

from metis.rpc.errors import ErrorCode, InvalidParameter, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import require_block
from metis.rpc.namespaces.encoding import hex_data, hex_word
from metis.rpc.parameters import BadValue, BlockId, any_json, block_id, list_of, storage_slot, string
from metis.rpc.parameters import address as address_of
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Address

__all__ = ["register_state"]

PROOF_SLOT_COUNT_MAX = 1_024
STORAGE_VALUE_COUNT_MAX = 1_024

_ADDRESS = Parameter("address", address_of)
_BLOCK = Parameter("block", block_id, "latest")


def register_state(registry: MethodRegistry, backend: Backend) -> None:
    """Add the methods that read the state of accounts."""
    node = backend.node

    @registry.hot("eth_getBalance", _ADDRESS, _BLOCK)
    def get_balance(address: Address, block: BlockId) -> str:
        """Balance of an account, in wei."""
        return hex(node.balance(address, require_block(node, block)))

    @registry.hot("eth_getTransactionCount", _ADDRESS, _BLOCK)
    def get_transaction_count(address: Address, block: BlockId) -> str:
        """Nonce of an account; "pending" counts its executable transactions in the pool."""
        if block == "pending":
            return hex(node.pending_nonce(address))
        return hex(node.nonce(address, require_block(node, block)))

    @registry.hot("eth_getCode", _ADDRESS, _BLOCK)
    def get_code(address: Address, block: BlockId) -> str:
        """Runtime bytecode of an account."""
        return hex_data(node.code(address, require_block(node, block)))

    @registry.hot("eth_getStorageAt", _ADDRESS, Parameter("slot", storage_slot), _BLOCK)
    def get_storage_at(address: Address, slot: int, block: BlockId) -> str:
        """Value of a storage slot, as 32 bytes."""
        return hex_word(node.storage(address, slot, require_block(node, block)))

    @registry.hot("eth_getStorageValues", Parameter("slots", any_json), _BLOCK)
    def get_storage_values(slots: Any, block: BlockId) -> dict[str, list[str]]:
        """Values of many slots of many accounts: {address: [slot, ...]} → {address: [value, ...]}."""
        wanted = _slots_by_address(slots)
        reference = require_block(node, block)
        return {
            hex_data(address): [hex_word(node.storage(address, slot, reference)) for slot in keys]
            for address, keys in wanted.items()
        }

    @registry.pool("eth_getProof", _ADDRESS, Parameter("slots", list_of(_slot_text, PROOF_SLOT_COUNT_MAX), ()), _BLOCK)
    def get_proof(address: Address, slots: list[str], block: BlockId) -> bytes:
        """Merkle proof of an account and of slots of it (EIP-1186)."""
        reference = require_block(node, block)
        return with_given_keys(node.proof_json(address, [storage_slot(slot) for slot in slots], reference), slots)

    @registry.hot("eth_getAccountInfo", _ADDRESS, _BLOCK)
    def get_account_info(address: Address, block: BlockId) -> dict[str, str]:
        """Balance, nonce and code of an account in one answer; forge asks for it."""
        reference = require_block(node, block)
        return {
            "balance": hex(node.balance(address, reference)),
            "nonce": hex(node.nonce(address, reference)),
            "code": hex_data(node.code(address, reference)),
        }

    @registry.pool("eth_getAccount", _ADDRESS, _BLOCK)
    def get_account(address: Address, block: BlockId) -> dict[str, str]:
        """Return an account as the state trie has it: balance, nonce, code hash, storage root."""
        proof = orjson.loads(node.proof_json(address, [], require_block(node, block)))
        return {
            "balance": proof["balance"],
            "nonce": proof["nonce"],
            "codeHash": proof["codeHash"],
            "storageRoot": proof["storageHash"],
        }


def _slot_text(value: Any) -> str:
    """Check a storage key, and keep it as it was written, for the answer repeats it."""
    storage_slot(value)
    return string(value)


def with_given_keys(proof: bytes, slots: list[str]) -> bytes:
    """
    Write the keys of a proof as geth does.

    A key that was given as 32 bytes stays 32 bytes; every other one is a quantity. The engine writes
    32 bytes always, so a proof of such keys passes through unread.
    """
    if all(len(slot) == 66 for slot in slots):
        return proof
    fields = orjson.loads(proof)
    for slot, entry in zip(slots, fields["storageProof"], strict=True):
        entry["key"] = slot if len(slot) == 66 else hex(storage_slot(slot))
    return orjson.dumps(fields)


def _slots_by_address(value: Any) -> dict[Address, list[int]]:
    if type(value) is not dict:
        raise InvalidParameter(0, "slots", "expected an object")
    if not value:
        raise RpcError(ErrorCode.INVALID_PARAMS, "empty request")
    parse = list_of(storage_slot)
    wanted = {}
    for text, slots in value.items():
        try:
            wanted[address_of(text)] = parse(slots)
        except BadValue as problem:
            raise InvalidParameter(0, "slots", str(problem)) from None
    if sum(len(slots) for slots in wanted.values()) > STORAGE_VALUE_COUNT_MAX:
        raise RpcError(ErrorCode.INVALID_PARAMS, f"too many slots (max {STORAGE_VALUE_COUNT_MAX})")
    return wanted
