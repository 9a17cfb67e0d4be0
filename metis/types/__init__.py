"""
Values that cross part boundaries: accounts, transactions, blocks, receipts, errors, units.

In: nothing. Out: frozen dataclasses without behaviour. Invariant: no I/O, no engine, no third-party
import. Source: Yellow Paper §4 and the EIPs named at each field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metis.lazy_names import lazy_names

if TYPE_CHECKING:
    from metis.types.account import Account
    from metis.types.block import Block, BlockAttributes, BlockEnvironment, Header, Withdrawal
    from metis.types.errors import (
        ArtifactRejected,
        CompositionError,
        DecodeError,
        EngineFault,
        FixtureError,
        GenesisError,
        GraphDecodeError,
        InvalidBlock,
        InvalidGraph,
        InvalidInput,
        InvalidModelFile,
        InvalidReceipt,
        InvalidTransaction,
        InvalidWeights,
        LimitExceeded,
        MetisError,
        MissingState,
        ModelStoreError,
        ModelUnavailable,
        NoProof,
        PoolRejection,
        RequestRefused,
        StateUnavailable,
        StorageError,
        UnknownParent,
        UnsupportedModel,
        UpstreamError,
    )
    from metis.types.receipt import Log, Receipt
    from metis.types.transaction import (
        AccessListEntry,
        Authorization,
        Transaction,
        TransactionOutcome,
        UnsignedTransaction,
    )
    from metis.types.units import Address, BlockNumber, Gas, Hash32, TimestampS, Wei

__all__ = [
    "AccessListEntry",
    "Account",
    "Address",
    "ArtifactRejected",
    "Authorization",
    "Block",
    "BlockAttributes",
    "BlockEnvironment",
    "BlockNumber",
    "CompositionError",
    "DecodeError",
    "EngineFault",
    "FixtureError",
    "Gas",
    "GenesisError",
    "GraphDecodeError",
    "Hash32",
    "Header",
    "InvalidBlock",
    "InvalidGraph",
    "InvalidInput",
    "InvalidModelFile",
    "InvalidReceipt",
    "InvalidTransaction",
    "InvalidWeights",
    "LimitExceeded",
    "Log",
    "MetisError",
    "MissingState",
    "ModelStoreError",
    "ModelUnavailable",
    "NoProof",
    "PoolRejection",
    "Receipt",
    "RequestRefused",
    "StateUnavailable",
    "StorageError",
    "TimestampS",
    "Transaction",
    "TransactionOutcome",
    "UnknownParent",
    "UnsignedTransaction",
    "UnsupportedModel",
    "UpstreamError",
    "Wei",
    "Withdrawal",
]

__getattr__ = lazy_names(
    __name__,
    {
        "account": ("Account",),
        "block": ("Block", "BlockAttributes", "BlockEnvironment", "Header", "Withdrawal"),
        "errors": (
            "ArtifactRejected",
            "CompositionError",
            "DecodeError",
            "EngineFault",
            "FixtureError",
            "GenesisError",
            "GraphDecodeError",
            "InvalidBlock",
            "InvalidGraph",
            "InvalidInput",
            "InvalidModelFile",
            "InvalidReceipt",
            "InvalidTransaction",
            "InvalidWeights",
            "LimitExceeded",
            "MetisError",
            "MissingState",
            "ModelStoreError",
            "ModelUnavailable",
            "NoProof",
            "PoolRejection",
            "RequestRefused",
            "StateUnavailable",
            "StorageError",
            "UnknownParent",
            "UnsupportedModel",
            "UpstreamError",
        ),
        "receipt": ("Log", "Receipt"),
        "transaction": ("AccessListEntry", "Authorization", "Transaction", "TransactionOutcome", "UnsignedTransaction"),
        "units": ("Address", "BlockNumber", "Gas", "Hash32", "TimestampS", "Wei"),
    },
)
