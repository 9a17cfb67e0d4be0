"""All public methods in one registry, and the subscriptions."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from metis.rpc.limits import LogLimits
from metis.rpc.namespaces.backend import Backend
from metis.rpc.namespaces.controls import Controls
from metis.rpc.namespaces.method_names import ALIASES, CONTROL_METHODS, PUBLIC_METHODS
from metis.rpc.parameters import BadValue
from metis.rpc.registry import MethodRegistry, register_introspection
from metis.rpc.subscriptions import Selector, SubscriptionHub, no_options, register_subscriptions

__all__ = ["PENDING_FULL_TOPIC", "promise_control", "public_registry", "register_topics"]

PENDING_FULL_TOPIC = "newPendingTransactions.full"


def public_registry(backend: Backend, log_limits: LogLimits | None = None) -> MethodRegistry:
    """Make the registry of everything that anyone may call, without subscriptions; modules come when they are used."""
    registry = MethodRegistry()
    register_introspection(registry)
    for function, names in PUBLIC_METHODS.items():
        limits = (log_limits,) if function == "eth_filters.register_filters" else ()
        _promise(registry, function, names, (backend, *limits))
    return registry


def promise_control(registry: MethodRegistry, controls: Controls, gas_max: int) -> None:
    """
    Promise the control methods, under all their names.

    Parameters
    ----------
    gas_max : most gas that estimating an unsigned transaction may use.
    """
    names = [*CONTROL_METHODS, *(name for names in ALIASES.values() for name in names)]
    _promise(registry, "control.register_control", tuple(names), (controls, gas_max))


def _promise(registry: MethodRegistry, function: str, names: tuple[str, ...], arguments: tuple[Any, ...]) -> None:
    module, _, name = function.partition(".")

    def register() -> None:
        getattr(import_module(f"metis.rpc.namespaces.{module}"), name)(registry, *arguments)

    registry.later(names, register)


def register_topics(registry: MethodRegistry, hub: SubscriptionHub) -> None:
    """Add eth_subscribe with newHeads, logs, newPendingTransactions and syncing."""
    register_subscriptions(
        registry,
        hub,
        {
            "newHeads": no_options,
            "logs": _log_options,
            "newPendingTransactions": _pending_options,
            "syncing": no_options,
        },
    )


def _log_options(value: object) -> Selector | None:
    from metis.rpc.namespaces.log_filter import log_selector

    return log_selector(value)


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
