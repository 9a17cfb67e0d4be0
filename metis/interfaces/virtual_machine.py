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

    Implementations: ``interpreter`` (:class:`metis.sdk.parts.Interpreter`).
    """

    @property
    def name(self) -> str:
        """The name it is composed by."""

    @property
    def frame_runner(self) -> object | None:
        """
        The engine's handle of what runs frames, or None for the engine's own interpreter.

        An engine that does not know the handle refuses the network when it is composed.
        """
