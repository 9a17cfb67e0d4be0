"""
What the transactions of a block did to each other: access lists and dependencies, by running it once more.

Headers do not commit to access lists before Amsterdam (EIP-7928), so that ``eth_getBlockAccessList`` has nothing to
give; ``debug_getBlockAccessList`` makes the list, in the form of execution-apis ``BlockAccessList``. Source: reth.
"""

from __future__ import annotations

from typing import Any

from metis.engine import BlockRecord, block_record
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import reference_of
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.rlp import decoded
from metis.rpc.parameters import BlockId, block_id
from metis.rpc.registry import MethodRegistry, Parameter

__all__ = ["register_debug_blocks"]

_BLOCK = Parameter("block", block_id)


def register_debug_blocks(registry: MethodRegistry, backend: Backend) -> None:
    """Add the debug methods about what blocks accessed."""
    node = backend.node

    def record(block: BlockId) -> BlockRecord:
        reference = reference_of(node, block)
        if reference == 0 or reference == node.genesis_hash:
            raise RpcError(ErrorCode.INVALID_INPUT, "genesis is not traceable")
        found = None if reference is None else block_record(node, reference)
        if found is None:
            raise RpcError(ErrorCode.INVALID_INPUT, "block not found")
        return found

    @registry.pool("debug_getBlockAccessList", _BLOCK)
    def get_block_access_list(block: BlockId) -> list[dict[str, Any]]:
        """Return the accounts and slots that a block accessed, and what each transaction made of them."""
        return [_account(fields) for fields in decoded(record(block).access_list)]

    @registry.pool("metis_explainBlock", _BLOCK)
    def explain_block(block: BlockId) -> dict[str, Any]:
        """Return which transactions of a block depend on which, and which were run again in parallel."""
        found = record(block)
        return {
            "transactionCount": hex(found.transaction_count),
            "gasUsed": hex(found.gas_used),
            "chain": [hex(position) for position in found.chain],
            "chainGas": hex(found.chain_gas),
            "rerunCount": hex(found.rerun_count),
            "conflicts": [_edge(row.transaction, row.on, row.address, row.slot) for row in found.conflicts],
            "dependencies": [_edge(row.transaction, row.on, row.address, row.slot) for row in found.dependencies],
            "accessList": hex_data(found.access_list),
            "accessListHash": hex_data(found.access_list_hash),
        }


def _edge(transaction: int, on: int | None, address: bytes, slot: int | None) -> dict[str, str | None]:
    return {
        "transaction": hex(transaction),
        "on": None if on is None else hex(on),
        "address": hex_data(address),
        "slot": None if slot is None else _word(slot.to_bytes(32, "big")),
    }


def _account(fields: Any) -> dict[str, Any]:
    address, storage_changes, storage_reads, balance_changes, nonce_changes, code_changes = fields
    return {
        "address": hex_data(address),
        "storageChanges": [
            {
                "key": _word(slot),
                "changes": [{"index": _quantity(index), "value": _word(value)} for index, value in changes],
            }
            for slot, changes in storage_changes
        ],
        "storageReads": [_word(slot) for slot in storage_reads],
        "balanceChanges": [{"index": _quantity(index), "value": _quantity(value)} for index, value in balance_changes],
        "nonceChanges": [{"index": _quantity(index), "value": _quantity(value)} for index, value in nonce_changes],
        "codeChanges": [{"index": _quantity(index), "code": hex_data(code)} for index, code in code_changes],
    }


def _word(number: bytes) -> str:
    return hex_data(number.rjust(32, b"\0"))


def _quantity(number: bytes) -> str:
    return hex(int.from_bytes(number, "big"))
