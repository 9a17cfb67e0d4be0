"""
The front door: JSON-RPC over HTTP, WebSocket and a Unix socket.

In: a registry of methods, and bytes of clients. Out: answers and notifications. Invariants: whatever
a client sends, it gets a JSON-RPC answer, an HTTP error or a close code, and the server goes on; what
a client can make the server keep is bounded by :class:`RpcLimits`. Cost: about 10 µs a request with
a trivial method; one system call per read and per write. Source: docs/rpc.md.

    bytes → (http | websocket | ipc) → jsonrpc → dispatch → method → jsonrpc → bytes

This package knows no chain: methods are registered by others, with :class:`MethodRegistry`.
"""

from metis.rpc.auth import make_token, read_or_create_secret
from metis.rpc.counters import MethodCounters, RpcCounters
from metis.rpc.dispatch import Followed, Session
from metis.rpc.errors import ErrorCode, InvalidParameter, ListenError, RpcError
from metis.rpc.limits import LogLimits, RpcLimits
from metis.rpc.listener import PageContent
from metis.rpc.registry import REQUIRED, Kind, Method, MethodRegistry, Parameter, register_introspection
from metis.rpc.reverts import execution_reverted, revert_reason
from metis.rpc.runs import OnPool
from metis.rpc.server import AuthenticatedConfig, RpcConfig, RpcServer
from metis.rpc.subscriptions import Selector, Subscription, SubscriptionHub, no_options, register_subscriptions

__all__ = [
    "REQUIRED",
    "AuthenticatedConfig",
    "ErrorCode",
    "Followed",
    "InvalidParameter",
    "Kind",
    "ListenError",
    "LogLimits",
    "Method",
    "MethodCounters",
    "MethodRegistry",
    "OnPool",
    "PageContent",
    "Parameter",
    "RpcConfig",
    "RpcCounters",
    "RpcError",
    "RpcLimits",
    "RpcServer",
    "Selector",
    "Session",
    "Subscription",
    "SubscriptionHub",
    "execution_reverted",
    "make_token",
    "no_options",
    "read_or_create_secret",
    "register_introspection",
    "register_subscriptions",
    "revert_reason",
]
