"""The registry of models on a node's chain, with accounts that the node signs for."""

from __future__ import annotations

from typing import Any

from eth_abi.abi import decode, encode

from metis.cli.contract_files import call_data
from metis.cli.node_client import NodeClient
from metis.engine import keccak256
from metis.sdk import MODEL_REGISTRY
from metis.types import Hash32, UpstreamError

__all__ = ["RegistryClient"]

_MODEL = ["address", "uint256", "uint256", "uint256", "uint256", "string"]


class RegistryClient:
    """
    The registry as one node knows it.

    Methods raise :class:`metis.types.UpstreamError` where the node does not answer, or refuses.
    """

    def __init__(self, node: NodeClient) -> None:
        self._node = node

    def first_account(self) -> str:
        """The first account that the node signs for."""
        accounts = self._node.ask("eth_accounts")
        if not accounts:
            raise UpstreamError("answer", self._node.url, "the node signs for no account; name one with --owner")
        return str(accounts[0])

    def owner(self, model_id: Hash32) -> str | None:
        """Who owns a model; None for nobody."""
        owner: str = self._model(model_id)[0]
        return None if int(owner, 16) == 0 else owner

    def register(self, model_id: Hash32, owner: str, price_wei: int, uri: str, salt: bytes) -> None:
        """Commit to a model and register it a block later; the blocks are the node's to make."""
        commitment = keccak256(encode(["bytes32", "address", "bytes32"], [model_id, owner, salt]))
        self._send(owner, "commit(bytes32)", commitment)
        # A registry keeps no more than 256 bytes of it, and a path of this machine is nobody's business.
        shown = uri if "://" in uri and len(uri) <= 256 else ""
        self._send(owner, "register(bytes32,uint256,string,bytes32)", model_id, price_wei, shown, salt)

    def activate(self, model_id: Hash32, size_bytes: int) -> int | None:
        """The block from which a model is active; None where it is not and the sequencer is not the node's."""
        if self._model(model_id)[2] == 0:
            (sequencer,) = decode(["address"], self._call("sequencer()"))
            if sequencer not in {account.lower() for account in self._node.ask("eth_accounts")}:
                return None
            self._send(sequencer, "activate(bytes32,uint256)", model_id, size_bytes)
        active_from: int = self._model(model_id)[2]
        return active_from

    def _model(self, model_id: Hash32) -> tuple[Any, ...]:
        (model,) = decode([f"({','.join(_MODEL)})"], self._call("models(bytes32)", model_id))
        return tuple(model)

    def _call(self, signature: str, *values: Any) -> bytes:
        call = {"to": f"0x{MODEL_REGISTRY.hex()}", "data": f"0x{call_data(signature, *values).hex()}"}
        output = bytes.fromhex(self._node.ask("eth_call", call, "latest")[2:])
        if not output:
            raise UpstreamError("answer", self._node.url, "the chain has no registry of models")
        return output

    def _send(self, sender: str, signature: str, *values: Any) -> None:
        data = f"0x{call_data(signature, *values).hex()}"
        transaction = {"from": sender, "to": f"0x{MODEL_REGISTRY.hex()}", "data": data}
        receipt = self._node.ask("eth_sendTransactionSync", transaction)
        if receipt["status"] != "0x1":
            name = signature.partition("(")[0]
            raise UpstreamError(
                "answer", self._node.url, f"{name} reverted in transaction {receipt['transactionHash']}"
            )
