"""
Everything that can go wrong, as one tree of typed errors.

Every class carries its values as attributes and a stable ``slug``. The message says what was
wrong and, where the reader can act, what to do. Outcomes are not errors: a transaction that
reverts or runs out of gas is a result (:class:`metis.types.TransactionOutcome`).

    MetisError
    ├── ArtifactRejected         compiled code that the engine does not load
    ├── DecodeError              bytes that are not a transaction, header, block or file we know
    │   └── GraphDecodeError     bytes that are not a model's graph in its one encoding
    ├── GenesisError             a genesis or preset document with a bad or missing field
    ├── InvalidTransaction       a well-formed transaction that may not be in this block
    ├── InvalidBlock             a well-formed block that breaks a consensus rule
    ├── UnknownParent            a block whose parent the node does not know
    ├── StateUnavailable         state outside the kept window was asked for
    ├── MissingState             state of a forked chain that must be fetched before the same can be asked again
    ├── NoProof                  a proof of an account on a fork, or far back, that nobody here can make
    ├── UpstreamError            the node that a chain was forked from does not answer as it should
    ├── PoolRejection            a valid transaction that the mempool does not take
    ├── LimitExceeded            a query that finds or reads more than it may
    ├── StorageError             the block log can not be opened, read or written
    ├── FixtureError             a state-test file that does not follow the format
    ├── UnsupportedModel         a model to import has an operator that integer graphs do not have yet
    ├── InvalidModelFile         a file is not the model, description or data that it should be
    ├── InvalidGraph             a model's graph that breaks a rule, may overflow, or costs more than it may
    ├── InvalidWeights           weights that are not those of the model, or not in the ranges its graph declares
    ├── InvalidInput             an input of a model that is missing or not what its graph declares
    ├── InvalidReceipt           an execution receipt, or what should prove it, is not what it should be
    ├── RequestRefused           a worker does not take a request; nothing was charged
    ├── ModelStoreError          a store of models that cannot be read or written
    ├── ModelUnavailable         a model that is active on the chain, but not on this machine
    ├── CompositionError         a network names a part that does not exist or does not fit
    └── EngineFault              a bug: the engine stopped itself instead of going on
"""

from __future__ import annotations

from collections.abc import Sequence

from metis.types.error_root import MetisError
from metis.types.errors_of_models import (
    InvalidGraph,
    InvalidInput,
    InvalidModelFile,
    InvalidReceipt,
    InvalidWeights,
    ModelStoreError,
    ModelUnavailable,
    RequestRefused,
    UnsupportedModel,
)

__all__ = [
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
]


class ArtifactRejected(MetisError):
    """
    Compiled code was not taken; the contract is interpreted as before.

    Attributes
    ----------
    reason : stable slug: "truncated", "trailing-bytes", "magic", "version", "reserved", "fork", "target",
        "entry", "region", "object", "too-large", "memory" or "off".
    detail : what is wrong, with the values.
    """

    slug = "artifact-rejected"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"compiled code: {detail}")
        self.reason = reason
        self.detail = detail


class DecodeError(MetisError):
    """
    Bytes do not encode what they should.

    Attributes
    ----------
    subject : what was being read: "transaction", "header", "block", "hex", …
    field : the first field that is wrong, in the Yellow Paper's or the EIP's words, or
        "payload" when the outer structure is already broken.
    problem : what is wrong with that field.
    index : position in the batch the bytes came in, or None for a single item.
    """

    slug = "decode"

    def __init__(self, subject: str, field: str, problem: str, index: int | None = None) -> None:
        where = f"{subject} {index}" if index is not None else subject
        super().__init__(f"{where}: field {field!r}: {problem}")
        self.subject = subject
        self.field = field
        self.problem = problem
        self.index = index


class GraphDecodeError(DecodeError):
    """
    Bytes are not a model's graph in its one encoding (docs/ai-graph.md).

    Attributes
    ----------
    field : path of the first field that is wrong, such as "nodes[3].inputs[0]".
    problem : what is wrong with it.
    offset : where in the bytes that field begins.
    """

    slug = "graph-decode"

    def __init__(self, field: str, problem: str, offset: int) -> None:
        super().__init__("graph", field, f"{problem} (byte {offset})")
        self.problem = problem
        self.offset = offset


class GenesisError(MetisError):
    """
    A genesis or preset document has a bad or missing field.

    Attributes
    ----------
    field : dotted path of the field, such as "config.chainId".
    problem : what is wrong with it.
    """

    slug = "genesis"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"genesis: field {field!r}: {problem}")
        self.field = field
        self.problem = problem


class InvalidTransaction(MetisError):
    """
    A well-formed transaction may not be included in this block on this state.

    Attributes
    ----------
    reason : stable slug of the broken rule: "nonce-too-low", "insufficient-funds",
        "intrinsic-gas-too-low", … (docs/errors.md lists them all).
    field : the transaction field the rule is about.
    detail : the rule with the values that broke it.
    index : position in the block or batch, or None for a single transaction.
    """

    slug = "invalid-transaction"

    def __init__(self, reason: str, field: str, detail: str, index: int | None = None) -> None:
        where = f"transaction {index}" if index is not None else "transaction"
        super().__init__(f"{where}: {detail}")
        self.reason = reason
        self.field = field
        self.detail = detail
        self.index = index


class InvalidBlock(MetisError):
    """
    A well-formed block breaks a consensus rule.

    Attributes
    ----------
    field : the header or body field that is wrong, or "transactions[i]" when a transaction is: then the
        InvalidTransaction with its reason is the ``__cause__``.
    expected, actual : the values as text, when the rule compares two.
    """

    slug = "invalid-block"

    def __init__(self, field: str, problem: str, expected: str = "", actual: str = "") -> None:
        values = f" (expected {expected}, got {actual})" if expected or actual else ""
        super().__init__(f"block: field {field!r}: {problem}{values}")
        self.field = field
        self.problem = problem
        self.expected = expected
        self.actual = actual


class StateUnavailable(MetisError):
    """
    State of a block outside the kept window was asked for.

    Attributes
    ----------
    block_number : the block that was asked for.
    oldest, newest : the kept window, both ends included.
    """

    slug = "state-unavailable"

    def __init__(self, block_number: int, oldest: int, newest: int) -> None:
        super().__init__(f"state of block {block_number} is not kept; ask for {oldest} to {newest}")
        self.block_number = block_number
        self.oldest = oldest
        self.newest = newest


class MissingState(MetisError):
    """
    A fork was asked about state that is still with the node it was forked from; nothing has happened.

    Not a failure: whoever runs the fork fetches the keys, gives them to the engine and asks again.

    Attributes
    ----------
    accounts : addresses of accounts (with their code). slots : (address, slot) pairs.
    block_numbers : blocks before the fork whose hashes are needed.
    """

    slug = "missing-state"

    def __init__(
        self,
        accounts: Sequence[bytes] = (),
        slots: Sequence[tuple[bytes, int]] = (),
        block_numbers: Sequence[int] = (),
    ) -> None:
        counts = f"{len(accounts)} accounts, {len(slots)} slots, {len(block_numbers)} block hashes"
        super().__init__(f"state of the forked chain is not here yet: {counts}")
        self.accounts = tuple(accounts)
        self.slots = tuple(slots)
        self.block_numbers = tuple(block_numbers)


class NoProof(MetisError):
    """
    Nobody here can prove an account, or hash further changes, at a block.

    A fork cannot: the state root of its blocks commits only to what changed since. An archive cannot where too much
    changed since the block.

    Attributes
    ----------
    block_number : after which block. reason : why there is no proof.
    """

    slug = "no-proof"

    def __init__(self, block_number: int, reason: str) -> None:
        super().__init__(f"no proof of an account at block {block_number}: {reason}")
        self.block_number = block_number
        self.reason = reason


class UpstreamError(MetisError):
    """
    The node that a chain was forked from does not answer, or not as it should.

    Attributes
    ----------
    kind : "unreachable", "timeout", "http", "rate-limit", "garbage" (no JSON-RPC answer), "answer" (a JSON-RPC
        error), "other-chain" (not the chain or block that was forked).
    endpoint : scheme, host and port; never the keys in its path.
    detail : what happened, and what to do where something can be done.
    """

    slug = "upstream"

    def __init__(self, kind: str, endpoint: str, detail: str) -> None:
        super().__init__(f"upstream {endpoint}: {detail}")
        self.kind = kind
        self.endpoint = endpoint
        self.detail = detail


class UnknownParent(MetisError):
    """
    A block names a parent that the node does not know.

    Attributes
    ----------
    parent_hash : 32 bytes.
    """

    slug = "unknown-parent"

    def __init__(self, parent_hash: bytes) -> None:
        super().__init__(f"parent block 0x{parent_hash.hex()} is not known; import it first")
        self.parent_hash = parent_hash


class PoolRejection(MetisError):
    """
    The mempool does not take a transaction that could be valid.

    Attributes
    ----------
    reason : stable slug: "already-known", "underpriced", "replacement-underpriced", "nonce-gap",
        "overdraft", "sender-full", "pool-full", "sidecar-proof", …
    detail : the limit with the values that passed it.
    """

    slug = "pool-rejection"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"transaction pool: {detail}")
        self.reason = reason
        self.detail = detail


class LimitExceeded(MetisError):
    """
    A query finds or reads more than it may; ask for less at a time.

    Attributes
    ----------
    what : what there is too much of: "logs", "blocks". limit : the most there may be.
    detail : the limit, and where it was passed.
    """

    slug = "limit-exceeded"

    def __init__(self, what: str, limit: int, detail: str) -> None:
        super().__init__(detail)
        self.what = what
        self.limit = limit
        self.detail = detail


class StorageError(MetisError):
    """
    The block log can not be opened, read or written. What was durable stays readable.

    Attributes
    ----------
    kind : "closed", "locked" (another process uses the directory), "corrupt", "disk-full", "io",
        "other-chain", "version", "directory", "memory" (the system gives no more), "not-there", "too-large",
        "read-only" (opened beside a writer).
    detail : file, offset and cause.
    """

    slug = "storage"

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"data directory: {detail}")
        self.kind = kind
        self.detail = detail


class FixtureError(MetisError):
    """
    A state-test file does not follow the format.

    Attributes
    ----------
    path : the file. test : the test inside it, or "" for the whole file. problem : what is wrong.
    """

    slug = "fixture"

    def __init__(self, path: str, test: str, problem: str) -> None:
        super().__init__(f"{path}{': ' + test if test else ''}: {problem}")
        self.path = path
        self.test = test
        self.problem = problem


class CompositionError(MetisError):
    """
    A network names a part that does not exist, or that does not fit its interface.

    Attributes
    ----------
    interface : the interface the part should implement, such as "StateStore".
    name : the name that was asked for. problem : why it cannot be used.
    """

    slug = "composition"

    def __init__(self, interface: str, name: str, problem: str) -> None:
        super().__init__(f"{interface} {name!r}: {problem}")
        self.interface = interface
        self.name = name
        self.problem = problem


class EngineFault(MetisError):
    """
    The engine met a broken invariant and stopped the call instead of going on: a bug in Metis.

    The state store is unchanged by the call that failed.
    """

    slug = "engine-fault"
