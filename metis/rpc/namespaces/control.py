"""
The control methods of anvil, hardhat, ganache and tenderly: for development chains only.

In: a :class:`Controls`. Out: handlers under the names that test suites know. Invariant: answers have the
shape of anvil's; parameters are taken as leniently as anvil and hardhat take them together.
Source: foundry's book, hardhat's network reference; anvil 1.7.1 where they differ.
"""

from __future__ import annotations

from metis.rpc.namespaces.control_accounts import register_control_accounts
from metis.rpc.namespaces.control_blocks import register_control_blocks
from metis.rpc.namespaces.control_chain import register_control_chain
from metis.rpc.namespaces.controls import Controls
from metis.rpc.namespaces.method_names import ALIASES
from metis.rpc.registry import MethodRegistry

__all__ = ["register_control"]


def register_control(registry: MethodRegistry, controls: Controls, gas_max: int) -> None:
    """
    Add the control methods.

    Parameters
    ----------
    gas_max : most gas that estimating an unsigned transaction may use.
    """
    register_control_accounts(registry, controls, gas_max)
    register_control_blocks(registry, controls)
    register_control_chain(registry, controls)
    for method, names in ALIASES.items():
        for name in names:
            registry.alias(name, method)
