"""
Where an ERC-20 token keeps a number: asked of the token itself, whatever its layout.

A read of the number is run to learn which slots it looks at; the one that changes the answer when it is
overridden is the one. Source: the method of forge-std's ``stdstore`` and of anvil.
"""

from __future__ import annotations

from metis.engine import Node, keccak256
from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.namespaces.overrides import AccountOverride
from metis.types import Address, Gas, UnsignedTransaction
from metis.types.units import Wei

__all__ = ["allowance_slot", "balance_slot"]

READ_GAS = 10_000_000
ZERO_ADDRESS = Address(bytes(20))


def balance_slot(node: Node, token: Address, account: Address, amount: int) -> tuple[Address, int]:
    """Find contract and slot of a balance; raises RpcError where no slot alone holds it."""
    return _slot(node, token, "balanceOf(address)", (account,), amount, "balance")


def allowance_slot(node: Node, token: Address, owner: Address, spender: Address, amount: int) -> tuple[Address, int]:
    """Find contract and slot of an allowance; raises RpcError where no slot alone holds it."""
    return _slot(node, token, "allowance(address,address)", (owner, spender), amount, "allowance")


def _slot(
    node: Node, token: Address, signature: str, addresses: tuple[Address, ...], amount: int, noun: str
) -> tuple[Address, int]:
    calldata = keccak256(signature.encode())[:4] + b"".join(bytes(12) + address for address in addresses)
    head = node.head_number
    read = UnsignedTransaction(
        sender=ZERO_ADDRESS,
        nonce=0,
        gas_limit=Gas(READ_GAS),
        gas_price_wei=Wei(0),
        to=token,
        data=calldata,
        chain_id=node.spec.chain_id,
    )
    wanted = amount.to_bytes(32, "big")
    entries, _ = node.create_access_list(read, head)
    for holder, slots in entries:
        for slot in slots:
            assumed = {holder: AccountOverride(storage_diff={slot: amount})}
            outcome = node.call(read, head, assumed)
            if outcome["status"] == "success" and outcome["output"] == wanted:
                return Address(holder), slot
    raise RpcError(ErrorCode.INVALID_INPUT, f"Unable to set ERC20 {noun}, no slot found")
