"""Accounts as tests want them: balances, code, nonces, storage, tokens, and sending without a key."""

from __future__ import annotations

from metis.rpc.namespaces.controls import Controls
from metis.rpc.namespaces.encoding import hex_data
from metis.rpc.namespaces.filling import FillDefaults, fill_transaction
from metis.rpc.namespaces.lenient import code, number_of, word
from metis.rpc.namespaces.token_slots import allowance_slot, balance_slot
from metis.rpc.namespaces.transaction_arguments import TransactionFields, transaction_arguments
from metis.rpc.parameters import address, boolean
from metis.rpc.registry import MethodRegistry, Parameter
from metis.types import Address

__all__ = ["register_control_accounts"]

_ADDRESS = Parameter("address", address)
_TOKEN = Parameter("token", address)
_WEI = Parameter("wei", word)
_AMOUNT = Parameter("amount", word)
_SWITCH = Parameter("on", boolean)


def register_control_accounts(registry: MethodRegistry, controls: Controls, gas_max: int) -> None:
    """Add the methods that change accounts, and those that let accounts send without a key."""
    _register_setters(registry, controls)
    _register_tokens(registry, controls)
    _register_impersonation(registry, controls, gas_max)


def _register_setters(registry: MethodRegistry, controls: Controls) -> None:
    node = controls.node

    @registry.asynchronous("anvil_setBalance", _ADDRESS, _WEI)
    async def set_balance(account: Address, wei: int) -> None:
        """Set the balance of an account, in wei."""
        await controls.change(lambda: node.set_account(account, None, wei))

    @registry.asynchronous("anvil_addBalance", _ADDRESS, _WEI)
    async def add_balance(account: Address, wei: int) -> None:
        """Add to the balance of an account, in wei."""
        await controls.change(lambda: node.add_balance(account, wei))

    @registry.asynchronous("anvil_setCode", _ADDRESS, Parameter("code", code))
    async def set_code(account: Address, runtime: bytes) -> None:
        """Set the runtime bytecode of an account."""
        await controls.change(lambda: node.set_account(account, None, None, runtime))

    @registry.asynchronous("anvil_setNonce", _ADDRESS, Parameter("nonce", number_of(64)))
    async def set_nonce(account: Address, nonce: int) -> None:
        """Set the nonce of an account."""
        await controls.change(lambda: node.set_account(account, nonce))

    @registry.asynchronous("anvil_setStorageAt", _ADDRESS, Parameter("slot", word), Parameter("value", word))
    async def set_storage_at(account: Address, slot: int, value: int) -> bool:
        """Set a storage slot of an account."""
        await controls.change(lambda: node.set_storage(account, slot, value))
        return True


def _register_tokens(registry: MethodRegistry, controls: Controls) -> None:
    node = controls.node

    @registry.asynchronous("anvil_dealERC20", _ADDRESS, _TOKEN, _AMOUNT)
    async def deal(account: Address, token: Address, amount: int) -> None:
        """Set an account's balance of an ERC-20 token, wherever the token keeps it."""

        def write() -> None:
            node.set_storage(*balance_slot(node, token, account, amount), amount)

        await controls.change(write)

    @registry.asynchronous("anvil_setERC20Allowance", _ADDRESS, Parameter("spender", address), _TOKEN, _AMOUNT)
    async def set_allowance(owner: Address, spender: Address, token: Address, amount: int) -> None:
        """Set what a spender may take of an account's ERC-20 token, wherever the token keeps it."""

        def write() -> None:
            node.set_storage(*allowance_slot(node, token, owner, spender, amount), amount)

        await controls.change(write)


def _register_impersonation(registry: MethodRegistry, controls: Controls, gas_max: int) -> None:
    node = controls.node

    @registry.hot("anvil_impersonateAccount", _ADDRESS)
    def impersonate(account: Address) -> None:
        """Let an account send without its key, a contract too."""
        controls.impersonate(account, on=True)

    @registry.hot("anvil_stopImpersonatingAccount", _ADDRESS)
    def stop_impersonating(account: Address) -> None:
        """Let an account send only with its key again."""
        controls.impersonate(account, on=False)

    @registry.hot("anvil_autoImpersonateAccount", _SWITCH)
    def impersonate_everyone(switch: bool) -> None:  # noqa: FBT001 - the method's parameter
        """Let every account send without its key, or no more."""
        controls.impersonate_everyone(on=switch)

    @registry.asynchronous("eth_sendUnsignedTransaction", Parameter("transaction", transaction_arguments))
    async def send_unsigned(fields: TransactionFields) -> str:
        """Send in any account's name."""
        defaults = FillDefaults(node.spec.chain_id, node.next_base_fee_wei(), 0, gas_max, None)
        transaction = await controls.change(lambda: fill_transaction(node, fields, defaults))
        return hex_data(await controls.send_unsigned(transaction))
