"""Many people with keys of their own, who sign what they send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metis.cli.node_client import NodeClient
from metis.engine import sign_transaction
from metis.types import Address, Gas, UnsignedTransaction
from metis.types.units import Wei

__all__ = ["Message", "Users"]

_GWEI = 10**9
_FEE_CAP_WEI = 100 * _GWEI
_TIP_WEI = _GWEI // 10


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody sends to a contract, or to somebody else; ``question`` is the place of what is asked."""

    kind: str
    to: Address
    data: bytes = b""
    value_wei: int = 0
    question: int | None = None


class Users:
    """
    Accounts of a development node.

    Parameters
    ----------
    started : what the node printed at its start.

    Attributes
    ----------
    addresses : in the node's order.
    """

    def __init__(self, started: Mapping[str, Any]) -> None:
        self._chain_id: int = started["chain_id"]
        self._keys = [bytes.fromhex(account["private_key"][2:]) for account in started["accounts"]]
        self.addresses = [Address(bytes.fromhex(account["address"][2:])) for account in started["accounts"]]
        self._nonces: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, user: int) -> bytes:
        """A user's private key."""
        return self._keys[user]

    def learn_nonces(self, client: NodeClient) -> None:
        """Ask how many transactions each has sent."""
        asked = [[f"0x{address.hex()}", "latest"] for address in self.addresses]
        counts = client.ask_many("eth_getTransactionCount", asked)
        self._nonces = {index: int(count, 16) for index, count in enumerate(counts)}

    def sign(self, messages: Sequence[tuple[int, Message]], gas_limits: Mapping[str, int]) -> list[bytes]:
        """
        Sign messages of users, given by their places.

        Parameters
        ----------
        gas_limits : of each kind of message.
        """
        signed = []
        for user, message in messages:
            nonce = self._nonces.get(user, 0)
            self._nonces[user] = nonce + 1
            transaction = UnsignedTransaction(
                sender=self.addresses[user],
                nonce=nonce,
                gas_limit=Gas(gas_limits[message.kind]),
                gas_price_wei=Wei(_FEE_CAP_WEI),
                to=message.to,
                value_wei=Wei(message.value_wei),
                data=message.data,
                type=2,
                chain_id=self._chain_id,
                max_priority_fee_per_gas_wei=Wei(_TIP_WEI),
            )
            signed.append(sign_transaction(transaction, self._keys[user]))
        return signed
