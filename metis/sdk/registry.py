"""
Parts by name: the built-in ones, and those that installed packages add.

A package adds a part with an entry point in the group of its interface::

    [project.entry-points."metis.state_store"]
    my-store = "my_package:MyStore"

The object that the entry point names is called with the options given for the part (keyword
arguments, none by default) and returns the part. It is loaded when a network asks for it, not before.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from metis.interfaces import Executor, FeePolicy, StateStore, VirtualMachine
from metis.sdk.parts import (
    CollectedFees,
    EthereumFees,
    Interpreter,
    MemoryStateStore,
    MetisDbStateStore,
    MetisVm,
    ParallelExecutor,
    SequentialExecutor,
)
from metis.types import CompositionError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["INTERFACES", "available_parts", "check_part", "create_part"]

INTERFACES: Mapping[str, type] = {
    "state_store": StateStore,
    "virtual_machine": VirtualMachine,
    "executor": Executor,
    "fee_policy": FeePolicy,
}
"""Slot of a network → the interface that its part implements. The entry point group is "metis.<slot>"."""

_BUILT_IN: Mapping[str, Mapping[str, Callable[..., object]]] = {
    "state_store": {"memory": MemoryStateStore, "metisdb": MetisDbStateStore},
    "virtual_machine": {"interpreter": Interpreter, "metisvm": MetisVm},
    "executor": {"sequential": SequentialExecutor, "parallel": ParallelExecutor},
    "fee_policy": {"ethereum": EthereumFees, "collected": CollectedFees},
}


def available_parts(slot: str) -> tuple[str, ...]:
    """
    Names that can be asked for in a slot, sorted.

    Parameters
    ----------
    slot : a key of :data:`INTERFACES`.
    """
    return tuple(sorted({*_BUILT_IN[slot], *(entry.name for entry in _entry_points(slot))}))


def create_part(slot: str, name: str, options: Mapping[str, Any] | None = None) -> object:
    """
    Make the part of a slot by its name.

    Parameters
    ----------
    options : what to pass to the part's factory, by keyword.

    Raises
    ------
    CompositionError : there is no such part, two packages claim the name, it cannot be loaded, it
        does not take the options, or what it makes does not implement the interface.
    """
    interface = INTERFACES[slot].__name__
    factory = _factory(slot, name)
    try:
        arguments = inspect.signature(factory).bind(**(options or {}))
    except TypeError as error:
        raise CompositionError(interface, name, f"does not take these options: {error}") from error
    return check_part(slot, name, factory(*arguments.args, **arguments.kwargs))


def check_part(slot: str, name: str, part: object) -> object:
    """
    Return ``part`` if it has every member of the slot's interface.

    Raises
    ------
    CompositionError : names the first member that is missing.
    """
    interface = INTERFACES[slot]
    for member in vars(interface):
        if not member.startswith("_") and not hasattr(part, member):
            problem = f"is a {type(part).__name__}, which has no member {member!r} of {interface.__name__}"
            raise CompositionError(interface.__name__, name, problem)
    return part


def _factory(slot: str, name: str) -> Callable[..., object]:
    interface = INTERFACES[slot].__name__
    if name in _BUILT_IN[slot]:
        return _BUILT_IN[slot][name]
    found = [entry for entry in _entry_points(slot) if entry.name == name]
    if not found:
        raise CompositionError(interface, name, f"there is no such part; available: {', '.join(available_parts(slot))}")
    if len(found) > 1:
        packages = sorted(entry.dist.name for entry in found if entry.dist is not None)
        raise CompositionError(interface, name, f"more than one package provides it: {', '.join(packages)}")
    try:
        factory = found[0].load()
    except (ImportError, AttributeError) as error:
        raise CompositionError(interface, name, f"cannot be loaded from {found[0].value!r}: {error}") from error
    if not callable(factory):
        raise CompositionError(interface, name, f"{found[0].value!r} cannot be called to make the part")
    return factory  # type: ignore[no-any-return]


def _entry_points(slot: str) -> tuple[EntryPoint, ...]:
    # Imported when a part is not built in: it brings the standard library's e-mail parser with it.
    from importlib.metadata import entry_points

    return tuple(entry_points(group=f"metis.{slot}"))
