"""titanoboa's network mode on a node whose contracts call models."""

from __future__ import annotations

from typing import Any, Final

import boa
from boa.rpc import RPC, EthereumRPC
from eth.exceptions import OutOfGas, Revert

from metis.sdk import INFERENCE, VECTORS
from metis.types import Address

__all__ = ["MetisNetworkEnv", "use_network"]

_PAYER: Final = "0x" + "4d455449".zfill(40)
"""Who pays for a question; it has coins for that call alone."""


def _forwarder(target: bytes) -> str:
    """Code that calls an address with the data and the value that it got itself."""
    return f"0x365f5f375f5f365f3473{target.hex()}5af100"


class MetisNetworkEnv(boa.NetworkEnv):  # type: ignore[misc] # titanoboa has no types
    """
    titanoboa's network mode, in which the node answers what contracts ask of models.

    Before titanoboa sends a transaction it runs it on a copy of the node's state, in a virtual machine of its own.
    Calls of the inference precompiles go from there to the node, at its newest block: models that the same
    transaction registers or changes are not seen, on the node itself they are.

    Raises
    ------
    boa.rpc.RPCError : the node does not answer ``debug_traceCall``.
    """

    @classmethod
    def from_url(cls, url: str) -> MetisNetworkEnv:
        """The environment of the node at a URL."""
        return cls(EthereumRPC(url))

    def _reset_fork(self, block_identifier: str | int = "latest") -> None:
        super()._reset_fork(block_identifier)
        # The virtual machine is a new one each time.
        computations = self.evm.vm.state.computation_class
        own = {bytes(address): self._ask for address in (INFERENCE, VECTORS)}
        computations._precompiles = {**computations._precompiles, **own}

    def _ask(self, computation: Any) -> Any:
        """Answer a call of a precompile as the node would, at the same gas and with the same logs."""
        message = computation.msg
        arrives = message.should_transfer_value and message.storage_address == message.code_address
        frame = _frame_of(
            self._rpc,
            Address(message.code_address),
            Address(message.sender),
            message.value if arrives else 0,
            message.data,
        )
        error = frame.get("error")
        if error is not None and error != "execution reverted":
            raise OutOfGas(error)
        computation.consume_gas(int(frame["gasUsed"], 16), "inference")
        computation.output = _bytes(frame.get("output", "0x"))
        if error is not None:
            raise Revert(computation.output)
        for log in frame.get("logs", ()):
            topics = tuple(int(topic, 16) for topic in log["topics"])
            computation.add_log_entry(_bytes(log["address"]), topics, _bytes(log["data"]))
        return computation


def _frame_of(rpc: RPC, target: Address, caller: Address, value_wei: int, data: bytes) -> dict[str, Any]:
    """The frame of the precompile in a call that the node makes from that caller, as ``callTracer`` tells it."""
    call = {"from": _PAYER, "to": f"0x{caller.hex()}", "value": hex(value_wei), "data": f"0x{bytes(data).hex()}"}
    state = {_PAYER: {"balance": hex(value_wei)}, call["to"]: {"code": _forwarder(target)}}
    options = {"tracer": "callTracer", "tracerConfig": {"withLog": True}, "stateOverrides": state}
    frame: dict[str, Any] = rpc.fetch("debug_traceCall", [call, "latest", options])["calls"][0]
    return frame


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def use_network(url: str) -> MetisNetworkEnv:
    """Make the network mode of the node at a URL titanoboa's environment, and give it."""
    env = MetisNetworkEnv.from_url(url)
    boa.set_env(env)
    return env
