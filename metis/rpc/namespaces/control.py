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
from metis.rpc.registry import MethodRegistry

__all__ = ["ALIASES", "register_control"]

ALIASES: dict[str, tuple[str, ...]] = {
    "anvil_setBalance": ("hardhat_setBalance", "tenderly_setBalance"),
    "anvil_addBalance": ("hardhat_addBalance", "tenderly_addBalance"),
    "anvil_setCode": ("hardhat_setCode",),
    "anvil_setNonce": ("hardhat_setNonce", "evm_setAccountNonce"),
    "anvil_setStorageAt": ("hardhat_setStorageAt",),
    "anvil_dealERC20": ("anvil_setERC20Balance", "hardhat_dealERC20"),
    "anvil_impersonateAccount": ("hardhat_impersonateAccount",),
    "anvil_stopImpersonatingAccount": ("hardhat_stopImpersonatingAccount",),
    "anvil_autoImpersonateAccount": ("hardhat_autoImpersonateAccount",),
    "anvil_mine": ("hardhat_mine",),
    "evm_mine_detailed": ("anvil_mine_detailed",),
    "anvil_getAutomine": ("hardhat_getAutomine",),
    "anvil_setAutomine": ("evm_setAutomine",),
    "anvil_setIntervalMining": ("evm_setIntervalMining",),
    "anvil_setLoggingEnabled": ("hardhat_setLoggingEnabled",),
    "anvil_setCoinbase": ("hardhat_setCoinbase",),
    "anvil_setBlockGasLimit": ("evm_setBlockGasLimit",),
    "anvil_setNextBlockBaseFeePerGas": ("hardhat_setNextBlockBaseFeePerGas",),
    "anvil_setMinGasPrice": ("hardhat_setMinGasPrice",),
    "anvil_setNextBlockPrevRandao": ("hardhat_setPrevRandao",),
    "anvil_increaseTime": ("evm_increaseTime",),
    "anvil_setTime": ("evm_setTime",),
    "anvil_setNextBlockTimestamp": ("evm_setNextBlockTimestamp",),
    "evm_snapshot": ("anvil_snapshot",),
    "evm_revert": ("anvil_revert",),
    "anvil_dumpState": ("hardhat_dumpState",),
    "anvil_loadState": ("hardhat_loadState",),
    "anvil_reset": ("hardhat_reset",),
    "anvil_dropTransaction": ("hardhat_dropTransaction",),
    "anvil_dropAllTransactions": ("hardhat_dropAllTransactions",),
    "anvil_metadata": ("hardhat_metadata",),
}
"""Other names of the same method, which do exactly the same."""


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
