"""What the methods need of the program around the engine: mining, keys, and a record of what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from metis.engine import Node
from metis.rpc.namespaces.happenings import Happenings
from metis.types import Address, Hash32

if TYPE_CHECKING:
    from metis.types import UnsignedTransaction

__all__ = ["Backend", "Signer"]


class Signer(Protocol):
    """The keys that this node signs with: development accounts. A node of a real network has none."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Accounts, in the order in which eth_accounts lists them."""

    def has(self, address: bytes) -> bool:
        """Whether there is a key for the account."""

    def sign_transaction(self, transaction: UnsignedTransaction) -> bytes:
        """Sign as ``transaction.sender``; returns EIP-2718 bytes."""

    def sign_hash(self, address: bytes, digest: bytes) -> bytes:
        """Sign 32 bytes as they are; returns r, s and v (27 or 28), 65 bytes."""

    def sign_message(self, address: bytes, message: bytes) -> bytes:
        """Sign a message of EIP-191 (version 0x45); returns r, s and v (27 or 28), 65 bytes."""


class Backend(Protocol):
    """
    A running node, as the methods see it.

    Attributes
    ----------
    node : the engine's. signer : its keys. happenings : blocks and transactions as they came, for filters.
    client_version : of web3_clientVersion.
    call_gas_max : most gas that a call may use; a call without gas gets it.
    genesis : the chain's genesis document; eth_config reads the fork schedule from it.
    """

    node: Node
    signer: Signer
    happenings: Happenings
    client_version: str
    call_gas_max: int
    genesis: dict[str, Any]

    @property
    def coinbase(self) -> Address:
        """Who gets the tips of blocks built here."""

    @property
    def is_mining(self) -> bool:
        """Whether blocks are built without being asked for."""

    async def send_raw(self, raw: bytes) -> Hash32:
        """
        Take a signed transaction into the pool; with instant mining, return when it is mined.

        Raises
        ------
        DecodeError, InvalidTransaction, PoolRejection : it was refused.
        """

    async def send_raw_many(self, raw: list[bytes]) -> list[Hash32 | Exception]:
        """Take signed transactions, in order, as :meth:`send_raw` does; each has its hash, or why it was refused."""

    def impersonates(self, address: bytes) -> bool:
        """Whether an account may send without its key."""

    async def send_unsigned(self, transaction: UnsignedTransaction) -> Hash32:
        """Take a transaction in an impersonated account's name; otherwise as :meth:`send_raw`."""

    async def mined(self, transaction_hash: bytes, timeout_s: float) -> bool:
        """Wait until a transaction is in a block; False when the time is over before."""

    def next_timestamp_s(self) -> int:
        """Timestamp that a block built now would have."""

    async def build_payload(self, attributes: Any, raw_transactions: list[bytes] | None) -> dict[str, Any]:
        """
        Build a block on the head without keeping it: {"block", "tips_wei", "requests", "blobs"}.

        Parameters
        ----------
        raw_transactions : exactly these, in order; None takes them from the pool.
        """

    async def store_block(self, rlp: bytes) -> None:
        """
        Verify a block and keep it beside the chain; the head stays.

        Raises
        ------
        DecodeError, InvalidBlock, UnknownParent : it is not kept.
        """

    async def set_head(self, block_hash: bytes) -> None:
        """Make a known block the head, and tell subscribers what changed."""
