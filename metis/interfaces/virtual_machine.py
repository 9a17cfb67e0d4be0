"""What runs the code inside a call frame."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["VirtualMachine"]


@runtime_checkable
class VirtualMachine(Protocol):
    """
    A way to run bytecode.

    Promises: outputs, gas, logs, traces and the order of failures are those of Ethereum's
    specification; two virtual machines differ in speed only.

    Implementations: ``interpreter`` (:class:`metis.sdk.parts.Interpreter`), ``metisvm``
    (:class:`metis.sdk.parts.MetisVm`).
    """

    @property
    def name(self) -> str:
        """The name it is composed by."""

    @property
    def frame_runner(self) -> object | None:
        """
        The engine's registry of compiled code (:class:`metis.engine.CodeRegistry`), or None for its interpreter alone.

        Asked for when a chain is opened. Anything else is refused then.
        """
