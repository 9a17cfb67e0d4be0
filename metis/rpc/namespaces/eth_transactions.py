"""Transactions: reading them, sending them, and signing with the node's own keys."""

from __future__ import annotations

from typing import Any

import orjson

from metis.engine import keccak256
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.blocks import number_of_tag
from metis.rpc.namespaces.encoding import hex_data, json_array, json_or_null
from metis.rpc.namespaces.eth_fees import fee_suggestion
from metis.rpc.namespaces.filling import FillDefaults, fill_transaction
from metis.rpc.namespaces.transaction_arguments import TransactionFields, transaction_arguments
from metis.rpc.parameters import address, block_number_or_tag, data, hash32, quantity, quantity_of
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Address, BlockNumber, Hash32, UnsignedTransaction

__all__ = ["register_sending", "register_transactions"]

_HASH = Parameter("hash", hash32)
_INDEX = Parameter("index", quantity_of(64))
_NUMBER = Parameter("number", block_number_or_tag)
_RAW = Parameter("transaction", data)
_FIELDS = Parameter("transaction", transaction_arguments)

SYNC_TIMEOUT_MS = 2_000
"""How long eth_sendRawTransactionSync waits by default (EIP-7966 recommends it)."""
SYNC_TIMEOUT_MS_MAX = 20_000
SYNC_TIMEOUT_CODE = 4
"""EIP-7966: the transaction is in the pool, but was not mined in time."""


def _milliseconds(value: Any) -> int:
    return value if type(value) is int and value > 0 else quantity(value)


_TIMEOUT = Parameter("timeout_ms", _milliseconds, SYNC_TIMEOUT_MS)
_nonce = quantity_of(64)


def register_transactions(registry: MethodRegistry, backend: Backend) -> None:
    """Add the methods that read transactions and receipts."""
    node = backend.node

    @registry.hot("eth_getTransactionByHash", _HASH)
    def by_hash(transaction_hash: Hash32) -> bytes | None:
        """Return a transaction, mined or in the pool, or null."""
        return node.transaction_json(transaction_hash)

    @registry.hot("eth_getTransactionByBlockHashAndIndex", _HASH, _INDEX)
    def by_block_hash(block_hash: Hash32, index: int) -> bytes | None:
        """Return the transaction at a position of a block, or null."""
        return node.transaction_at_json(block_hash, index)

    @registry.hot("eth_getTransactionByBlockNumberAndIndex", _NUMBER, _INDEX)
    def by_block_number(number: BlockNumber | str, index: int) -> bytes | None:
        """Return the transaction at a position of a block, or null."""
        return node.transaction_at_json(_height(backend, number), index)

    @registry.hot("eth_getTransactionReceipt", _HASH)
    def receipt(transaction_hash: Hash32) -> bytes | None:
        """Return what a mined transaction did, or null."""
        return node.receipt_json(transaction_hash)

    @registry.hot("eth_getRawTransactionByHash", _HASH)
    def raw_by_hash(transaction_hash: Hash32) -> str | None:
        """Return a transaction as it was sent, or null."""
        raw = node.raw_transaction(transaction_hash)
        return None if raw is None else hex_data(raw)

    @registry.hot("eth_getRawTransactionByBlockHashAndIndex", _HASH, _INDEX)
    def raw_by_block_hash(block_hash: Hash32, index: int) -> str | None:
        """Return the transaction at a position of a block as it was sent, or null."""
        return _raw_at(node.transaction_at_json(block_hash, index))

    @registry.hot("eth_getRawTransactionByBlockNumberAndIndex", _NUMBER, _INDEX)
    def raw_by_block_number(number: BlockNumber | str, index: int) -> str | None:
        """Return the transaction at a position of a block as it was sent, or null."""
        return _raw_at(node.transaction_at_json(_height(backend, number), index))

    def _raw_at(found: bytes | None) -> str | None:
        if found is None:
            return None
        raw = node.raw_transaction(bytes.fromhex(orjson.loads(found)["hash"][2:]))
        return None if raw is None else hex_data(raw)

    @registry.pool("eth_getTransactionBySenderAndNonce", Parameter("address", address), Parameter("nonce", _nonce))
    def by_sender_and_nonce(sender: Address, nonce: int) -> bytes | None:
        """Return a sender's transaction with a nonce, mined or in the pool, or null."""
        return node.transaction_of_sender_json(sender, nonce)

    @registry.hot("eth_pendingTransactions")
    def pending_transactions() -> bytes:
        """Return the executable transactions in the pool."""
        return json_array(json_or_null(node.transaction_json(found)) for found in node.pending_hashes())


def register_sending(registry: MethodRegistry, backend: Backend) -> None:
    """Add the methods that send and sign."""
    node, signer = backend.node, backend.signer
    suggest_tip_wei = fee_suggestion(node)

    @registry.group("eth_sendRawTransaction", _RAW)
    async def send_raw(calls: list[list[bytes]]) -> list[str | Exception]:
        """Take a signed transaction; with instant mining it is mined when the hash comes back."""
        sent = await backend.send_raw_many([raw for (raw,) in calls])
        return [result if isinstance(result, Exception) else hex_data(result) for result in sent]

    @registry.asynchronous("eth_sendRawTransactionSync", _RAW, _TIMEOUT)
    async def send_raw_sync(raw: bytes, timeout_ms: int) -> bytes:
        """Take a signed transaction and answer its receipt (EIP-7966)."""
        return await receipt_in_time(await backend.send_raw(raw), timeout_ms)

    async def receipt_in_time(transaction_hash: Hash32, timeout_ms: int) -> bytes:
        if not await backend.mined(transaction_hash, min(timeout_ms, SYNC_TIMEOUT_MS_MAX) / 1_000):
            words = f"The transaction was added to the mempool but wasn't processed in {timeout_ms} ms"
            raise RpcError(SYNC_TIMEOUT_CODE, words, hex_data(transaction_hash))
        return json_or_null(node.receipt_json(transaction_hash))

    @registry.hot("eth_accounts")
    def accounts() -> list[str]:
        """Return the accounts that this node signs for."""
        return [hex_data(account) for account in signer.addresses]

    registry.alias("eth_requestAccounts", "eth_accounts")

    @registry.asynchronous(
        "eth_resend", _FIELDS, Parameter("gas_price", quantity, None), Parameter("gas_limit", _nonce, None)
    )
    async def resend(fields: TransactionFields, gas_price_wei: int | None, gas_limit: int | None) -> str:
        """Send a waiting transaction again, with another gas price or gas limit."""
        if "nonce" not in fields:
            raise RpcError(ErrorCode.INVALID_INPUT, "missing transaction nonce in transaction spec")
        sender = fields.get("from") or next(iter(signer.addresses), None)
        waiting = orjson.loads(node.pool_content_json(sender)) if sender is not None else {}
        if not any(str(fields["nonce"]) in found for found in waiting.values()):
            raise RpcError(ErrorCode.INVALID_INPUT, f"transaction {fields['nonce']} of the sender is not in the pool")
        if gas_price_wei:
            capped = ("maxFeePerGas", "maxPriorityFeePerGas", "gasPrice")
            fields = {name: value for name, value in fields.items() if name not in capped} | {"gasPrice": gas_price_wei}
        return hex_data(await sent(fields | ({"gas": gas_limit} if gas_limit else {})))

    @registry.asynchronous("eth_sendTransaction", _FIELDS)
    async def send_transaction(fields: TransactionFields) -> str:
        """Fill in what is missing, sign with one of the node's keys, and send."""
        return hex_data(await sent(fields))

    @registry.asynchronous("eth_sendTransactionSync", _FIELDS, _TIMEOUT)
    async def send_transaction_sync(fields: TransactionFields, timeout_ms: int) -> bytes:
        """Fill in what is missing, sign, send, and answer the receipt."""
        return await receipt_in_time(await sent(fields), timeout_ms)

    async def sent(fields: TransactionFields) -> Hash32:
        sender = fields.get("from")
        if sender is not None and not signer.has(sender):
            if not backend.impersonates(sender):
                require_key(sender)
            return await backend.send_unsigned(filled(fields))
        return await backend.send_raw(signed(filled(fields)))

    @registry.pool("eth_signTransaction", _FIELDS)
    def sign_transaction(fields: TransactionFields) -> str:
        """Fill in what is missing, and sign with one of the node's keys; answers the raw transaction."""
        return hex_data(signed(filled(fields)))

    @registry.pool("eth_fillTransaction", _FIELDS)
    def fill(fields: TransactionFields) -> dict[str, Any]:
        """Fill in what is missing: nonce, fees, gas limit, chain id."""
        if "from" not in fields:
            raise RpcError(ErrorCode.INVALID_PARAMS, "missing field 'from'")
        transaction = filled(fields)
        return {"raw": None, "tx": filled_json(transaction)}

    @registry.hot("eth_sign", Parameter("address", address), Parameter("message", data))
    def sign(account: Address, message: bytes) -> str:
        """Sign a message with one of the node's keys (EIP-191)."""
        require_key(account)
        return hex_data(signer.sign_message(account, message))

    @registry.hot(
        "personal_sign",
        Parameter("message", data),
        Parameter("address", address),
        Parameter("password", _ignored, None),
    )
    def personal_sign(message: bytes, account: Address, _password: Any) -> str:
        """Sign a message with one of the node's keys (EIP-191); the order of arguments is MetaMask's."""
        return sign(account, message)

    def require_key(account: bytes) -> None:
        if not signer.has(account):
            raise RpcError(ErrorCode.INVALID_INPUT, f"unknown account: this node has no key for {hex_data(account)}")

    def filled(fields: TransactionFields) -> UnsignedTransaction:
        defaults = FillDefaults(
            chain_id=node.spec.chain_id,
            base_fee_wei=node.next_base_fee_wei(),
            tip_wei=suggest_tip_wei(),
            gas_max=backend.call_gas_max,
            sender=signer.addresses[0] if signer.addresses else None,
        )
        transaction: UnsignedTransaction = registry.around(fill_transaction)(node, fields, defaults)
        return transaction

    def signed(transaction: UnsignedTransaction) -> bytes:
        require_key(transaction.sender)
        return signer.sign_transaction(transaction)


def filled_json(transaction: UnsignedTransaction) -> dict[str, Any]:
    """Write an unsigned transaction as eth_fillTransaction answers it."""
    shown: dict[str, Any] = {
        "type": hex(transaction.type),
        "chainId": hex(transaction.chain_id or 0),
        "nonce": hex(transaction.nonce),
        "gas": hex(transaction.gas_limit),
        "from": hex_data(transaction.sender),
        "to": None if transaction.to is None else hex_data(transaction.to),
        "value": hex(transaction.value_wei),
        "input": hex_data(transaction.data),
    }
    if transaction.max_priority_fee_per_gas_wei is None:
        shown["gasPrice"] = hex(transaction.gas_price_wei)
    else:
        shown["maxFeePerGas"] = hex(transaction.gas_price_wei)
        shown["maxPriorityFeePerGas"] = hex(transaction.max_priority_fee_per_gas_wei)
    if transaction.type:
        shown["accessList"] = [
            {"address": hex_data(entry.address), "storageKeys": [f"0x{slot:064x}" for slot in entry.slots]}
            for entry in transaction.access_list
        ]
    return shown


def personal_message_hash(message: bytes) -> bytes:
    """Hash of a message that a person signs (EIP-191, version 0x45)."""
    return keccak256(b"\x19Ethereum Signed Message:\n%d%b" % (len(message), message))


def _height(backend: Backend, number: BlockNumber | str) -> int:
    return number_of_tag(backend.node, number) if isinstance(number, str) else int(number)


def _ignored(_value: Any) -> None:
    return None
