"""
Which JSON-RPC error a failure becomes: the codes, and the one table from typed errors to codes.

    MetisError
    ├── RpcError                 an answer with a code, a message and maybe data
    │   └── InvalidParameter     a parameter of a call, by position and name
    └── ListenError              an address or socket path that cannot be listened on

Sources: JSON-RPC 2.0 §5.1, EIP-1474 (error codes), execution-apis (code 3). Messages begin with
geth's words, because ethers, viem and web3.py recognise failures by them.
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType

from metis.types import EngineFault, InvalidTransaction, MetisError, PoolRejection

__all__ = [
    "CODE_OF_SLUG",
    "MEANING_OF_CODE",
    "PHRASE_OF_REASON",
    "PHRASE_OF_REJECTION",
    "ErrorCode",
    "InvalidParameter",
    "ListenError",
    "RpcError",
    "error_answer",
]


class ErrorCode(IntEnum):
    """Every code that this server answers with."""

    EXECUTION_REVERTED = 3
    INVALID_INPUT = -32000
    RESOURCE_NOT_FOUND = -32001
    RESOURCE_UNAVAILABLE = -32002
    TRANSACTION_REJECTED = -32003
    METHOD_NOT_SUPPORTED = -32004
    LIMIT_EXCEEDED = -32005
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    PARSE_ERROR = -32700


MEANING_OF_CODE = MappingProxyType(
    {
        ErrorCode.EXECUTION_REVERTED: "a call or gas estimation reverted; `data` is the revert data as hex",
        ErrorCode.INVALID_INPUT: "the request is well formed but cannot be served, such as for an unknown block",
        ErrorCode.RESOURCE_NOT_FOUND: "the state that was asked for is not kept",
        ErrorCode.RESOURCE_UNAVAILABLE: (
            "the request ran out of time, or the node that was forked from does not answer"
        ),
        ErrorCode.TRANSACTION_REJECTED: "the transaction may not enter the mempool or a block",
        ErrorCode.METHOD_NOT_SUPPORTED: "the method exists but this node does not offer it as configured",
        ErrorCode.LIMIT_EXCEEDED: "a limit of the server: batch, response size, logs, subscriptions, or too busy",
        ErrorCode.INVALID_REQUEST: "JSON, but not a JSON-RPC 2.0 request",
        ErrorCode.METHOD_NOT_FOUND: "no such method, or subscriptions over HTTP",
        ErrorCode.INVALID_PARAMS: "a parameter is missing, superfluous or malformed; the message names it",
        ErrorCode.INTERNAL_ERROR: "a bug in Metis; the node's log has the details",
        ErrorCode.PARSE_ERROR: "not JSON: bad syntax, bad UTF-8, or nested deeper than 1,024 levels",
    }
)
"""What each code means to a client; docs/rpc.md repeats it."""

CODE_OF_SLUG = MappingProxyType(
    {
        "metis-error": ErrorCode.INVALID_INPUT,
        "artifact-rejected": ErrorCode.INTERNAL_ERROR,
        "decode": ErrorCode.INVALID_PARAMS,
        "genesis": ErrorCode.INVALID_INPUT,
        "graph-decode": ErrorCode.INVALID_PARAMS,
        "invalid-graph": ErrorCode.INVALID_INPUT,
        "invalid-weights": ErrorCode.INVALID_INPUT,
        "invalid-input": ErrorCode.INVALID_INPUT,
        "invalid-model-file": ErrorCode.INVALID_INPUT,
        "invalid-receipt": ErrorCode.INVALID_INPUT,
        "unsupported-model": ErrorCode.INVALID_INPUT,
        "invalid-transaction": ErrorCode.TRANSACTION_REJECTED,
        "invalid-block": ErrorCode.INVALID_INPUT,
        "state-unavailable": ErrorCode.RESOURCE_NOT_FOUND,
        "missing-state": ErrorCode.RESOURCE_UNAVAILABLE,
        "model-store": ErrorCode.RESOURCE_UNAVAILABLE,
        "request-refused": ErrorCode.RESOURCE_UNAVAILABLE,
        "model-unavailable": ErrorCode.RESOURCE_UNAVAILABLE,
        "no-proof": ErrorCode.INVALID_INPUT,
        "upstream": ErrorCode.RESOURCE_UNAVAILABLE,
        "unknown-parent": ErrorCode.INVALID_INPUT,
        "pool-rejection": ErrorCode.TRANSACTION_REJECTED,
        "limit-exceeded": ErrorCode.LIMIT_EXCEEDED,
        "storage": ErrorCode.INTERNAL_ERROR,
        "fixture": ErrorCode.INVALID_INPUT,
        "composition": ErrorCode.METHOD_NOT_SUPPORTED,
        "engine-fault": ErrorCode.INTERNAL_ERROR,
    }
)
"""The code of each class in :mod:`metis.types.errors`, by its slug. A subclass without an entry has its base's."""

PHRASE_OF_REASON = MappingProxyType(
    {
        "access-list-not-allowed": "access list not allowed",
        "blob-creation": "blob transaction of type create",
        "blob-fee-cap-too-low": "max fee per blob gas less than block blob gas fee",
        "blob-version": "invalid blob versioned hash",
        "block-size-limit": "exceeds block size limit",
        "cost-overflow": "insufficient funds for gas * price + value",
        "delegation-creation": "EIP-7702 transaction cannot be used to create contract",
        "fee-cap-below-base-fee": "max fee per gas less than block base fee",
        "gas-below-floor": "insufficient gas for floor data gas cost",
        "gas-limit-above-block": "exceeds block gas limit",
        "gas-limit-above-cap": "transaction gas limit too high",
        "initcode-too-large": "max initcode size exceeded",
        "insufficient-funds": "insufficient funds for gas * price + value",
        "intrinsic-gas-too-low": "intrinsic gas too low",
        "no-authorizations": "EIP-7702 transaction with empty auth list",
        "no-blobs": "blob transaction missing blob hashes",
        "nonce-is-max": "nonce has max value",
        "nonce-too-high": "nonce too high",
        "nonce-too-low": "nonce too low",
        "priority-fee-above-fee-cap": "max priority fee per gas higher than max fee per gas",
        "sender-not-eoa": "sender not an eoa",
        "signature-s-too-high": "invalid transaction v, r, s values",
        "too-many-blobs": "blob transaction has too many blobs",
        "too-many-macs": "exceeds block limit of inference",
        "type-not-active": "transaction type not supported",
        "wrong-chain-id": "invalid chain id for signer",
    }
)
"""geth's words for each reason of :class:`metis.types.InvalidTransaction`; another reason stands for itself."""

PHRASE_OF_REJECTION = MappingProxyType(
    {
        "already-known": "already known",
        "nonce-gap": "nonce too high",
        "overdraft": "insufficient funds for gas * price + value",
        "pool-full": "txpool is full",
        "replacement-kind": "address already reserved",
        "replacement-underpriced": "replacement transaction underpriced",
        "sender-full": "account limit exceeded",
        "sidecar-malformed": "invalid blob sidecar",
        "sidecar-mismatch": "blob hash mismatch",
        "sidecar-missing": "missing sidecar in blob transaction",
        "sidecar-proof": "invalid blob proof",
        "sidecar-version": "sidecar version mismatch",
        "tip-underpriced": "transaction gas price below minimum",
        "transaction-too-large": "oversized data",
        "underpriced": "transaction underpriced",
    }
)
"""geth's words for each reason of :class:`metis.types.PoolRejection`; another reason stands for itself."""


class RpcError(MetisError):
    """
    A request is answered with an error object.

    Attributes
    ----------
    code : one of :class:`ErrorCode`, or a method's own code (eth_simulateV1 has -38xxx).
    message : what went wrong, beginning with the words that client libraries look for.
    data : any JSON value for clients, or None for no ``data`` member.
    """

    slug = "rpc"

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = int(code)
        self.message = message
        self.data = data


class InvalidParameter(RpcError):
    """
    A parameter is missing, superfluous or malformed.

    Attributes
    ----------
    position : from 0, as in ``params``.
    name : the parameter's name in the method's signature, or "" when there is no such parameter.
    problem : what is wrong with it.
    """

    slug = "rpc-parameter"

    def __init__(self, position: int, name: str, problem: str) -> None:
        where = f"invalid argument {position} ({name})" if name else f"invalid argument {position}"
        super().__init__(ErrorCode.INVALID_PARAMS, f"{where}: {problem}")
        self.position = position
        self.name = name
        self.problem = problem


class ListenError(MetisError):
    """
    The server cannot listen where it should.

    Attributes
    ----------
    endpoint : "127.0.0.1:8545", or the path of the Unix socket.
    problem : why not, and what to do.
    """

    slug = "rpc-listen"

    def __init__(self, endpoint: str, problem: str) -> None:
        super().__init__(f"cannot listen on {endpoint}: {problem}")
        self.endpoint = endpoint
        self.problem = problem


def error_answer(failure: BaseException) -> RpcError:
    """
    Turn any failure of a method into what the client is told.

    Failures that are not :class:`metis.types.MetisError` are bugs: the client learns only the
    class, the log gets the rest.
    """
    if isinstance(failure, RpcError):
        return failure
    if isinstance(failure, InvalidTransaction | PoolRejection):
        phrases = PHRASE_OF_REASON if isinstance(failure, InvalidTransaction) else PHRASE_OF_REJECTION
        phrase = phrases.get(failure.reason, failure.reason)
        return RpcError(ErrorCode.TRANSACTION_REJECTED, f"{phrase}: {failure.detail}")
    if isinstance(failure, EngineFault):
        return RpcError(ErrorCode.INTERNAL_ERROR, f"internal error: {failure}")
    if isinstance(failure, MetisError):
        for cls in type(failure).__mro__:
            code = CODE_OF_SLUG.get(getattr(cls, "slug", ""))
            if code is not None:
                return RpcError(code, str(failure))
    return RpcError(ErrorCode.INTERNAL_ERROR, f"internal error: {type(failure).__name__}")
