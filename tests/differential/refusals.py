"""
Transactions that are wrong in exactly one way, and what each side must say about it.

Where a transaction breaks several rules, either side may name any of them; so only these cases
compare reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from metis.types import Account, Gas, Hash32, UnsignedTransaction, Wei
from tests.differential.assembler import assemble
from tests.differential.case import TransactionsCase
from tests.differential.rlp import Rlp, decode_rlp, encode_rlp
from tests.differential.wallet import SECP256K1_ORDER, sign_authorization, sign_transaction
from tests.differential.world import (
    BASE_FEE_WEI,
    SENDERS,
    address_of,
    draft,
    environment_at,
    funded,
)

__all__ = ["REFUSALS", "Refusal", "of_another_chain", "on_the_edge"]

SENDER = SENDERS[0]
BLOB_HASH = b"\x01" + b"\x33" * 31
INIT_CODE_LIMIT = 49_152
GAS_LIMIT = 100_000
NONCE_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A case whose last transaction is refused.

    Attributes
    ----------
    error : the specification's error class.
    reason : the engine's ``InvalidTransaction.reason``, or "decode" for a ``DecodeError``.
    """

    case: Callable[[], TransactionsCase]
    error: str
    reason: str


def one(
    transaction: UnsignedTransaction,
    *,
    fork: str = "Osaka",
    sender: Account | None = None,
    block_gas_limit: int = 60_000_000,
    excess_blob_gas: int = 0,
    high_s: bool = False,
) -> TransactionsCase:
    alloc = funded()
    if sender is not None:
        alloc[SENDER.address] = sender
    environment = environment_at(fork, gas_limit=block_gas_limit, excess_blob_gas=excess_blob_gas)
    return TransactionsCase(
        "refusal", fork, environment, alloc, (sign_transaction(transaction, SENDER, high_s=high_s),)
    )


def plain(**changes: object) -> UnsignedTransaction:
    return replace(draft(address_of(50), kind=2, gas_limit=GAS_LIMIT), **changes)  # type: ignore[arg-type]


def blob(count: int = 1, **changes: object) -> UnsignedTransaction:
    transaction = draft(address_of(50), kind=3, gas_limit=GAS_LIMIT, blob_hashes=[BLOB_HASH] * count)
    return replace(transaction, **changes)  # type: ignore[arg-type]


def on_the_edge(kind: int, missing_wei: int) -> TransactionsCase:
    """A sender with what the transaction may cost at most, less ``missing_wei``: value, gas and blob gas."""
    transaction = blob(2) if kind == 3 else draft(address_of(50), kind=kind, gas_limit=GAS_LIMIT)
    if kind == 4:
        transaction = replace(transaction, authorization_list=(sign_authorization(SENDERS[1], address_of(1), 0),))
    transaction = replace(transaction, value_wei=Wei(12_345))
    most = transaction.gas_limit * transaction.gas_price_wei + transaction.value_wei
    most += 131_072 * len(transaction.blob_versioned_hashes) * (transaction.max_fee_per_blob_gas_wei or 0)
    return one(transaction, sender=Account(balance_wei=Wei(most - missing_wei)))


def of_another_chain(kind: int) -> TransactionsCase:
    """A well-signed transaction of each type for chain 2, sent to chain 1."""
    transaction = blob() if kind == 3 else draft(address_of(50), kind=kind, gas_limit=GAS_LIMIT)
    if kind == 4:
        transaction = replace(transaction, authorization_list=(sign_authorization(SENDERS[1], address_of(1), 0),))
    return one(replace(transaction, chain_id=2))


def broken_signature(r: int, s: int) -> TransactionsCase:
    """A legacy transaction with these signature values."""
    good = one(draft(address_of(50), gas_limit=GAS_LIMIT))
    fields: list[Rlp] = [item for item in decode_rlp(good.transactions[0]) if isinstance(item, bytes)]
    return replace(good, transactions=(encode_rlp([*fields[:7], r, s]),))


def blobs_beyond_the_block() -> TransactionsCase:
    first, second = sign_transaction(blob(6), SENDER), sign_transaction(blob(4, nonce=1), SENDER)
    return replace(one(blob()), transactions=(first, second))


REFUSALS: dict[str, Refusal] = {
    "nonce below": Refusal(lambda: one(plain(), sender=Account(3, Wei(10**20))), "NonceMismatchError", "nonce-too-low"),
    "nonce above": Refusal(lambda: one(plain(nonce=1)), "NonceMismatchError", "nonce-too-high"),
    "last nonce": Refusal(
        lambda: one(plain(nonce=NONCE_MAX), sender=Account(NONCE_MAX, Wei(10**20))),
        "NonceOverflowError",
        "nonce-is-max",
    ),
    "no money": Refusal(lambda: one(plain(), sender=Account()), "InsufficientBalanceError", "insufficient-funds"),
    "price beyond any money": Refusal(
        lambda: one(plain(gas_price_wei=Wei(2**128 - 1))), "InsufficientBalanceError", "cost-overflow"
    ),
    "price beyond 128 bits": Refusal(
        lambda: one(plain(gas_price_wei=Wei(2**128))), "InsufficientBalanceError", "decode"
    ),
    "value beyond any money": Refusal(
        lambda: one(plain(value_wei=Wei(2**256 - 1))), "InsufficientBalanceError", "cost-overflow"
    ),
    "too little gas": Refusal(
        lambda: one(plain(gas_limit=Gas(20_999))), "InsufficientTransactionGasError", "intrinsic-gas-too-low"
    ),
    "gas below the floor": Refusal(
        lambda: one(plain(gas_limit=Gas(21_000 + 39_999), data=b"\x01" * 1_000)),
        "InsufficientTransactionGasError",
        "gas-below-floor",
    ),
    "gas above the block's": Refusal(
        lambda: one(plain(), block_gas_limit=GAS_LIMIT - 1), "GasUsedExceedsLimitError", "gas-limit-above-block"
    ),
    "gas above the cap": Refusal(
        lambda: one(plain(gas_limit=Gas(2**24 + 1))), "TransactionGasLimitExceededError", "gas-limit-above-cap"
    ),
    "price below the base fee": Refusal(
        lambda: one(plain(gas_price_wei=Wei(BASE_FEE_WEI - 1))),
        "InsufficientMaxFeePerGasError",
        "fee-cap-below-base-fee",
    ),
    "legacy price below the base fee": Refusal(
        lambda: one(draft(address_of(50), gas_price_wei=BASE_FEE_WEI - 1)), "InvalidBlock", "fee-cap-below-base-fee"
    ),
    "tip above the cap": Refusal(
        lambda: one(plain(max_priority_fee_per_gas_wei=Wei(11))),
        "PriorityFeeGreaterThanMaxFeeError",
        "priority-fee-above-fee-cap",
    ),
    "init code too large": Refusal(
        lambda: one(plain(to=None, data=bytes(INIT_CODE_LIMIT + 1), gas_limit=Gas(2_000_000))),
        "InitCodeTooLargeError",
        "initcode-too-large",
    ),
    "sender is a contract": Refusal(
        lambda: one(plain(), sender=Account(0, Wei(10**20), assemble("STOP"))), "InvalidSenderError", "sender-not-eoa"
    ),
    "high s": Refusal(lambda: one(plain(), high_s=True), "InvalidSignatureError", "signature-s-too-high"),
    "legacy high s": Refusal(
        lambda: one(draft(address_of(50)), high_s=True), "InvalidSignatureError", "signature-s-too-high"
    ),
    "legacy wrong chain": Refusal(
        lambda: one(draft(address_of(50), chain_id=2)), "InvalidSignatureError", "wrong-chain-id"
    ),
    "r is zero": Refusal(lambda: broken_signature(0, 1), "InvalidSignatureError", "decode"),
    "s is zero": Refusal(lambda: broken_signature(1, 0), "InvalidSignatureError", "decode"),
    "r is the order": Refusal(lambda: broken_signature(SECP256K1_ORDER, 1), "InvalidSignatureError", "decode"),
    "no key recovers": Refusal(lambda: broken_signature(5, 1), "InvalidSignatureError", "decode"),
    "no blobs": Refusal(lambda: one(blob(0)), "NoBlobDataError", "no-blobs"),
    "blob hash of another version": Refusal(
        lambda: one(blob(blob_versioned_hashes=(Hash32(b"\x02" + BLOB_HASH[1:]),))),
        "InvalidBlobVersionedHashError",
        "blob-version",
    ),
    "seven blobs in one transaction": Refusal(lambda: one(blob(7)), "BlobCountExceededError", "too-many-blobs"),
    "seven blobs in a block of six": Refusal(
        lambda: one(blob(7), fork="Cancun"), "BlobGasLimitExceededError", "too-many-blobs"
    ),
    "blobs beyond the block": Refusal(blobs_beyond_the_block, "BlobGasLimitExceededError", "too-many-blobs"),
    "blob price below the block's": Refusal(
        lambda: one(blob(), excess_blob_gas=60_000_000), "InsufficientMaxFeePerBlobGasError", "blob-fee-cap-too-low"
    ),
    "creation with blobs": Refusal(lambda: one(blob(to=None)), "DecodingError", "decode"),
    "creation with authorizations": Refusal(
        lambda: one(plain(type=4, to=None, authorization_list=(sign_authorization(SENDERS[1], address_of(1), 0),))),
        "DecodingError",
        "decode",
    ),
    "no authorizations": Refusal(lambda: one(plain(type=4)), "EmptyAuthorizationListError", "no-authorizations"),
    "access list before Berlin": Refusal(
        lambda: one(draft(address_of(50), kind=1), fork="Istanbul"), "DecodingError", "type-not-active"
    ),
    "fee market before London": Refusal(lambda: one(plain(), fork="Berlin"), "TransactionTypeError", "type-not-active"),
    "blobs before Cancun": Refusal(lambda: one(blob(), fork="Shanghai"), "TransactionTypeError", "type-not-active"),
}
