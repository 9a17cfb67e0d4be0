"""Signed transactions for load: ten senders in turn, nonces without gaps, the same bytes in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import orjson

from metis.cli.contract_files import load_contract
from metis.engine import address_of, derive_private_key, keccak256, sign_transaction
from metis.node.accounts import TEST_MNEMONIC
from metis.types import Address, Gas, UnsignedTransaction
from metis.types.units import Wei

__all__ = [
    "BATCH_SIZE",
    "BLOCK_GAS_LIMIT",
    "CHAIN_ID",
    "SENDER_COUNT",
    "batch_body",
    "senders",
    "signed_transfers",
    "token_of",
    "token_setup",
    "token_transfers",
]

CHAIN_ID = 7_133_717
SENDER_COUNT = 10
BATCH_SIZE = 100
BLOCK_GAS_LIMIT = 1_000_000_000

_FEE_CAP_WEI = Wei(100 * 10**9)
_TIP_WEI = Wei(10**9)
_SUPPLY = 10**24
_TRANSFER_GAS = Gas(21_000)
_TOKEN_GAS = Gas(80_000)
_DEPLOY_GAS = Gas(3_000_000)


def batch_body(raw: Sequence[bytes]) -> bytes:
    """Encode one batch of eth_sendRawTransaction."""
    request = {"jsonrpc": "2.0", "method": "eth_sendRawTransaction"}
    return orjson.dumps([request | {"id": number, "params": [f"0x{one.hex()}"]} for number, one in enumerate(raw)])


def senders() -> list[Address]:
    """Return the development accounts that send."""
    return [Address(address_of(key)) for key in _keys()]


def signed_transfers(count: int) -> list[bytes]:
    """Sign transfers to fresh accounts; each sender's nonces begin at 0."""
    return list(_signed(count, [0] * SENDER_COUNT, lambda number: (_fresh(number), b"", Wei(1), _TRANSFER_GAS)))


def token_of(sender: Address) -> Address:
    """Address of the contract that a sender's first transaction creates."""
    return Address(keccak256(b"\xd6\x94" + sender + b"\x80")[12:])


def token_setup(token: Address) -> list[bytes]:
    """Sign what deploys the token, as the first sender's first transaction, and gives tokens to all senders."""
    key, sender = _keys()[0], senders()[0]
    code = load_contract("Token").bytecode + _SUPPLY.to_bytes(32, "big")
    signed = [_sign(key, sender, 0, (None, code, Wei(0), _DEPLOY_GAS))]
    for nonce, other in enumerate(senders()[1:], 1):
        signed.append(_sign(key, sender, nonce, (token, _transfer(other, _SUPPLY // 100), Wei(0), _TOKEN_GAS)))
    return signed


def token_transfers(token: Address, count: int) -> list[bytes]:
    """Sign transfers of the token to fresh accounts, after :func:`token_setup`."""
    nonces = [SENDER_COUNT] + [0] * (SENDER_COUNT - 1)
    return list(_signed(count, nonces, lambda number: (token, _transfer(_fresh(number), 1), Wei(0), _TOKEN_GAS)))


_Fields = tuple[Address | None, bytes, Wei, Gas]


def _signed(count: int, nonces: list[int], fields_of: Callable[[int], _Fields]) -> Iterator[bytes]:
    keys, addresses = _keys(), senders()
    for number in range(count):
        who = number % SENDER_COUNT
        yield _sign(keys[who], addresses[who], nonces[who] + number // SENDER_COUNT, fields_of(number))


def _sign(key: bytes, sender: Address, nonce: int, fields: _Fields) -> bytes:
    to, data, value_wei, gas_limit = fields
    unsigned = UnsignedTransaction(
        sender=sender,
        nonce=nonce,
        gas_limit=gas_limit,
        gas_price_wei=_FEE_CAP_WEI,
        to=to,
        data=data,
        value_wei=value_wei,
        type=2,
        chain_id=CHAIN_ID,
        max_priority_fee_per_gas_wei=_TIP_WEI,
    )
    return sign_transaction(unsigned, key)


def _keys() -> list[bytes]:
    return [derive_private_key(TEST_MNEMONIC, f"m/44'/60'/0'/0/{index}") for index in range(SENDER_COUNT)]


def _fresh(number: int) -> Address:
    return Address((number + 0x1000_0000).to_bytes(20, "big"))


def _transfer(receiver: Address, amount: int) -> bytes:
    return bytes.fromhex("a9059cbb") + bytes(12) + receiver + amount.to_bytes(32, "big")
