"""
Keys, transaction encodings and signatures, with every field free to be wrong.

The ordinary signing libraries refuse to sign what a chain would refuse, and those are half of the
cases here. So the encoding (EIP-155, 2718, 2930, 1559, 4844, 7702) is written out; only Keccak and
the curve come from libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from metis.types import Address, Authorization, UnsignedTransaction
from tests.differential.rlp import Rlp, encode_rlp

__all__ = [
    "SECP256K1_ORDER",
    "Key",
    "create2_address",
    "create_address",
    "keccak",
    "make_key",
    "recoverable_nowhere",
    "sign_authorization",
    "sign_transaction",
]

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
AUTHORIZATION_MAGIC = b"\x05"


@dataclass(frozen=True, slots=True)
class Key:
    """A secret key and the address it controls."""

    secret: bytes
    address: Address

    def sign(self, digest: bytes) -> tuple[int, int, int]:
        """(y_parity, r, s) with low s, deterministic (RFC 6979)."""
        return sign_digest(self.secret, digest)


@cache
def make_key(number: int) -> Key:
    """The ``number``-th test key; the same on every run."""
    secret = keccak(b"metis differential test key %d" % number)
    return Key(secret, Address(PrivateKey(secret).public_key.to_canonical_address()))


@lru_cache(maxsize=4096)
def sign_digest(secret: bytes, digest: bytes) -> tuple[int, int, int]:
    signature = PrivateKey(secret).sign_msg_hash(digest)
    return int(signature.v), int(signature.r), int(signature.s)


def access_list_item(transaction: UnsignedTransaction) -> Rlp:
    return [[entry.address, [slot.to_bytes(32, "big") for slot in entry.slots]] for entry in transaction.access_list]


def authorization_item(authorization: Authorization) -> Rlp:
    return [
        authorization.chain_id,
        authorization.address,
        authorization.nonce,
        authorization.y_parity,
        authorization.r,
        authorization.s,
    ]


def payload_items(transaction: UnsignedTransaction) -> list[Rlp]:
    """The fields of a typed transaction up to its signature, in the order of its EIP."""
    to = transaction.to or b""
    chain_id = transaction.chain_id or 0
    access_list = access_list_item(transaction)
    if transaction.type == 1:
        price: list[Rlp] = [transaction.gas_price_wei]
    else:
        price = [transaction.max_priority_fee_per_gas_wei or 0, transaction.gas_price_wei]
    items: list[Rlp] = [chain_id, transaction.nonce, *price, transaction.gas_limit, to]
    items += [transaction.value_wei, transaction.data, access_list]
    if transaction.type == 3:
        items += [transaction.max_fee_per_blob_gas_wei or 0, list(transaction.blob_versioned_hashes)]
    if transaction.type == 4:
        items.append([authorization_item(item) for item in transaction.authorization_list])
    return items


def sign_transaction(transaction: UnsignedTransaction, key: Key, *, high_s: bool = False) -> bytes:
    """
    The signed encoding of a transaction; ``transaction.sender`` is not looked at.

    ``high_s`` gives the other signature of the same message, which Homestead forbids.
    """
    if transaction.type == 0:
        return sign_legacy(transaction, key, high_s=high_s)
    prefix = bytes([transaction.type])
    items = payload_items(transaction)
    y_parity, r, s = other_signature(key.sign(keccak(prefix + encode_rlp(items))), wanted=high_s)
    return prefix + encode_rlp([*items, y_parity, r, s])


def sign_legacy(transaction: UnsignedTransaction, key: Key, *, high_s: bool) -> bytes:
    items: list[Rlp] = [transaction.nonce, transaction.gas_price_wei, transaction.gas_limit, transaction.to or b""]
    items += [transaction.value_wei, transaction.data]
    # EIP-155: with a chain id, the signature covers it and v carries it.
    replay_protection: list[Rlp] = [] if transaction.chain_id is None else [transaction.chain_id, 0, 0]
    digest = keccak(encode_rlp([*items, *replay_protection]))
    y_parity, r, s = other_signature(key.sign(digest), wanted=high_s)
    v = 27 + y_parity if transaction.chain_id is None else 35 + 2 * transaction.chain_id + y_parity
    return encode_rlp([*items, v, r, s])


def other_signature(signature: tuple[int, int, int], *, wanted: bool) -> tuple[int, int, int]:
    y_parity, r, s = signature
    return (1 - y_parity, r, SECP256K1_ORDER - s) if wanted else signature


def sign_authorization(
    key: Key, address: bytes, nonce: int, chain_id: int = 1, *, high_s: bool = False
) -> Authorization:
    """Permission for the code at ``address`` to run in the key's account (EIP-7702)."""
    digest = keccak(AUTHORIZATION_MAGIC + encode_rlp([chain_id, address, nonce]))
    y_parity, r, s = other_signature(key.sign(digest), wanted=high_s)
    return Authorization(chain_id, Address(address), nonce, y_parity, r, s, key.address)


def recoverable_nowhere(address: bytes, nonce: int, chain_id: int = 1) -> Authorization:
    """An authorization whose r is no x-coordinate of the curve, so that no key can be recovered."""
    # SPEC: secp256k1 has no point with x = 5.
    return Authorization(chain_id, Address(address), nonce, 0, 5, 1)


def create_address(sender: bytes, nonce: int) -> Address:
    """Where CREATE deploys."""
    return Address(keccak(encode_rlp([sender, nonce]))[12:])


def create2_address(sender: bytes, salt: int, init_code: bytes) -> Address:
    """Where CREATE2 deploys (EIP-1014)."""
    return Address(keccak(b"\xff" + sender + salt.to_bytes(32, "big") + keccak(init_code))[12:])
