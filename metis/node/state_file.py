"""
The state of a chain as anvil keeps it in files: JSON, and over RPC the same gzipped as hexadecimal text.

In: a node, or a document that anvil (or an older release of it) wrote. Out: the document, or accounts and
the place in the chain. Source: anvil 1.7.1, ``SerializableState``.

DEVIATES: loading takes accounts, height and time. The blocks of the document belong to a chain with
another genesis, so they are not taken: empty blocks lead up to its height.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from metis.engine import Node
from metis.types import Account, Address, GenesisError
from metis.types.units import Wei

__all__ = [
    "STATE_SIZE_BYTES_MAX",
    "LoadedState",
    "decode_state",
    "encode_state",
    "read_state",
    "state_document",
    "write_state",
]

STATE_SIZE_BYTES_MAX = 1 << 30
"""Most bytes of a document after decompression: what is larger is not read into memory."""

_HEADER_FIELDS = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
)

_PLACE_FIELDS = ("blockHash", "blockNumber", "transactionIndex", "blockTimestamp", "from", "gasPrice")
"""Fields of a transaction that say where it is; anvil keeps them elsewhere. A legacy one keeps its price."""


@dataclass(frozen=True, slots=True)
class LoadedState:
    """What is taken from a document; ``timestamp_s`` 0 where it names none."""

    accounts: Mapping[Address, Account]
    block_number: int
    timestamp_s: int


def state_document(node: Node) -> dict[str, Any]:
    """Write the newest state and the chain as anvil does."""
    head = node.head_number
    blocks, transactions = [], []
    for number in range(head + 1):
        shown = orjson.loads(node.block_json(number, full=True) or b"null")
        receipts = orjson.loads(node.block_receipts_json(number) or b"[]")
        blocks.append(_block(shown))
        transactions += [_transaction(shown, position, receipt) for position, receipt in enumerate(receipts)]
    newest = orjson.loads(node.block_json(head, full=False) or b"null")
    return {
        "block": _environment(newest),
        "accounts": orjson.loads(node.accounts_json()),
        "best_block_number": head,
        "blocks": blocks,
        "transactions": transactions,
        "historical_states": None,
    }


def _environment(block: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": block["number"],
        "beneficiary": block["miner"],
        "timestamp": block["timestamp"],
        "gas_limit": int(block["gasLimit"], 16),
        "basefee": int(block.get("baseFeePerGas") or "0x0", 16),
        "difficulty": block["difficulty"],
        "prevrandao": block["mixHash"],
        "blob_excess_gas_and_price": {
            "excess_blob_gas": int(block.get("excessBlobGas") or "0x0", 16),
            "blob_gasprice": 1,
        },
        "slot_num": 0,
    }


def _block(block: dict[str, Any]) -> dict[str, Any]:
    return {
        "header": {name: block[name] for name in _HEADER_FIELDS if block.get(name) is not None},
        "transactions": [
            {"transaction": _plain(transaction), "impersonated_sender": _impersonated(transaction)}
            for transaction in block["transactions"]
        ],
        "ommers": [],
        "withdrawals": None,
    }


def _plain(transaction: dict[str, Any]) -> dict[str, Any]:
    left_out = [name for name in _PLACE_FIELDS if name != "gasPrice" or transaction["type"] not in ("0x0", "0x1")]
    return {name: value for name, value in transaction.items() if name not in left_out}


def _impersonated(transaction: dict[str, Any]) -> str | None:
    """Who sent a transaction that nobody signed: it carries the sender in place of a signature."""
    sender: str = transaction["from"]
    is_unsigned = int(transaction["r"], 16) == int(sender, 16) and int(transaction["s"], 16) == 1
    return sender if is_unsigned else None


def _transaction(block: dict[str, Any], position: int, receipt: dict[str, Any]) -> dict[str, Any]:
    transaction = block["transactions"][position]
    is_success = receipt["status"] == "0x1"
    ended = "Stop" if is_success else "Revert"
    call = {
        "depth": 0,
        "success": is_success,
        "caller": transaction["from"],
        "address": receipt["contractAddress"] or transaction["to"],
        "maybe_precompile": None,
        "selfdestruct_address": None,
        "selfdestruct_refund_target": None,
        "selfdestruct_transferred_value": None,
        "kind": "CREATE" if transaction["to"] is None else "CALL",
        "value": transaction["value"],
        "data": transaction["input"],
        "output": "0x",
        "gas_used": int(receipt["gasUsed"], 16),
        "gas_limit": int(transaction["gas"], 16),
        "gas_refund_counter": 0,
        "status": ended,
        "steps": [],
        "decoded": None,
    }
    return {
        "info": {
            "transaction_hash": transaction["hash"],
            "transaction_index": position,
            "from": transaction["from"],
            "to": transaction["to"],
            "contract_address": receipt["contractAddress"],
            "traces": [{"parent": None, "children": [], "idx": 0, "trace": call, "logs": [], "ordering": []}],
            "exit": ended,
            "out": "0x",
            "nonce": int(transaction["nonce"], 16),
            "gas_used": int(receipt["gasUsed"], 16),
        },
        "receipt": {
            "type": receipt["type"],
            "status": receipt["status"],
            "cumulativeGasUsed": receipt["cumulativeGasUsed"],
            "logs": [{name: entry[name] for name in ("address", "topics", "data")} for entry in receipt["logs"]],
            "logsBloom": receipt["logsBloom"],
        },
        "block_hash": block["hash"],
        "block_number": int(block["number"], 16),
    }


def decode_state(content: bytes) -> dict[str, Any]:
    """
    Read a document: JSON, gzipped or not.

    Raises
    ------
    GenesisError : it is neither, is too large, or is no object.
    """
    try:
        if content[:2] == b"\x1f\x8b":
            unpacked = zlib.decompressobj(wbits=31)
            content = unpacked.decompress(content, STATE_SIZE_BYTES_MAX)
            if unpacked.unconsumed_tail:
                raise GenesisError("state", f"has more than {STATE_SIZE_BYTES_MAX} bytes")
        document = orjson.loads(content)
    except (zlib.error, orjson.JSONDecodeError) as problem:
        raise GenesisError("state", f"is no dump of a state: {problem}") from problem
    if not isinstance(document, dict):
        raise GenesisError("state", "is no dump of a state: not an object")
    return document


def encode_state(document: dict[str, Any]) -> bytes:
    """Write a document as anvil sends it: gzipped JSON, the same bytes for the same document."""
    return gzip.compress(orjson.dumps(document), mtime=0)


def write_state(node: Node, path: Path) -> None:
    """Write a document to a file, not gzipped, as anvil does: whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_bytes(orjson.dumps(state_document(node)))
    unfinished.replace(path)


def read_state(document: dict[str, Any]) -> LoadedState:
    """
    Take accounts, height and time from a document; those of older releases have no more than accounts.

    Raises
    ------
    GenesisError : a field is missing or malformed.
    """
    accounts = document.get("accounts")
    if not isinstance(accounts, dict):
        raise GenesisError("accounts", "is missing or no object")
    block = document.get("block") or {}
    best = document.get("best_block_number")
    try:
        number = _number(block.get("number", 0) if best is None else best)
        timestamp_s = _number(block.get("timestamp", 0))
    except (AttributeError, TypeError, ValueError) as problem:
        raise GenesisError("block", str(problem)) from problem
    return LoadedState(dict(_account(key, entry) for key, entry in accounts.items()), number, timestamp_s)


def _account(key: str, entry: Any) -> tuple[Address, Account]:
    field = f"accounts.{key}"
    try:
        address = bytes.fromhex(key.removeprefix("0x"))
        account = Account(
            nonce=_number(entry.get("nonce", 0)),
            balance_wei=Wei(_number(entry.get("balance", 0))),
            code=bytes.fromhex((entry.get("code") or "0x").removeprefix("0x")),
            storage={_number(slot): _number(value) for slot, value in (entry.get("storage") or {}).items()},
        )
    except (AttributeError, TypeError, ValueError) as problem:
        raise GenesisError(field, str(problem)) from problem
    if len(address) != 20:
        raise GenesisError(field, f"is no address: {len(address)} bytes instead of 20")
    return Address(address), account


def _number(value: Any) -> int:
    number = value if type(value) is int else int(value, 16 if value[:2] in ("0x", "0X") else 10)
    if not 0 <= number < 2**256:
        raise ValueError(f"{value} is not between 0 and 2**256")
    return number
