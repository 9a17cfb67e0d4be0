"""All public methods in one registry, and the subscriptions."""

from __future__ import annotations

from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.debug_raw import register_debug_raw
from metis.rpc.namespaces.debug_trace import register_debug_traces
from metis.rpc.namespaces.eth_blocks import register_blocks
from metis.rpc.namespaces.eth_calls import register_calls
from metis.rpc.namespaces.eth_fees import register_fees
from metis.rpc.namespaces.eth_filters import LogLimits, register_filters
from metis.rpc.namespaces.eth_info import register_info
from metis.rpc.namespaces.eth_simulate import register_simulation
from metis.rpc.namespaces.eth_state import register_state
from metis.rpc.namespaces.eth_transactions import register_sending, register_transactions
from metis.rpc.namespaces.log_filter import log_selector
from metis.rpc.namespaces.net import register_net
from metis.rpc.namespaces.ots import register_otterscan
from metis.rpc.namespaces.trace import register_trace
from metis.rpc.namespaces.txpool import register_txpool
from metis.rpc.namespaces.typed_data import register_typed_data
from metis.rpc.namespaces.web3 import register_web3
from metis.rpc.parameters import BadValue
from metis.rpc.registry import MethodRegistry, register_introspection
from metis.rpc.subscriptions import SubscriptionHub, no_options, register_subscriptions

__all__ = ["PENDING_FULL_TOPIC", "public_registry", "register_topics"]

PENDING_FULL_TOPIC = "newPendingTransactions.full"


def public_registry(backend: Backend, log_limits: LogLimits | None = None) -> MethodRegistry:
    """Make the registry of everything that anyone may call, without subscriptions."""
    registry = MethodRegistry()
    node = backend.node
    register_introspection(registry)
    register_info(registry, backend)
    register_state(registry, node)
    register_blocks(registry, node)
    register_transactions(registry, backend)
    register_sending(registry, backend)
    register_typed_data(registry, backend)
    register_fees(registry, node)
    register_calls(registry, backend)
    register_simulation(registry, backend)
    register_filters(registry, backend, log_limits)
    register_net(registry, node)
    register_web3(registry, backend.client_version)
    register_txpool(registry, node)
    register_debug_raw(registry, node)
    register_debug_traces(registry, backend)
    register_trace(registry, backend)
    register_otterscan(registry, node)
    return registry


def register_topics(registry: MethodRegistry, hub: SubscriptionHub) -> None:
    """Add eth_subscribe with newHeads, logs, newPendingTransactions and syncing."""
    register_subscriptions(
        registry,
        hub,
        {
            "newHeads": no_options,
            "logs": log_selector,
            "newPendingTransactions": _pending_options,
            "syncing": no_options,
        },
    )


class _FullTransactions:
    """Selects nothing less: it marks subscribers who want whole transactions."""

    def accepts(self, event: object) -> bool:
        """Whether the event is a whole transaction."""
        return event == PENDING_FULL_TOPIC


class _TransactionHashes:
    def accepts(self, event: object) -> bool:
        """Whether the event is a hash."""
        return event != PENDING_FULL_TOPIC


# One instance each: subscribers with equal selectors share an evaluation.
FULL_TRANSACTIONS = _FullTransactions()
TRANSACTION_HASHES = _TransactionHashes()


def _pending_options(value: object) -> _FullTransactions | _TransactionHashes:
    """Parse geth's option: true asks for whole transactions instead of hashes."""
    if value is True:
        return FULL_TRANSACTIONS
    if value in (None, False, {}):
        return TRANSACTION_HASHES
    raise BadValue("expected true or false")
