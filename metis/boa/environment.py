"""The environment, and the virtual machine in it."""

from __future__ import annotations

import json
import os
from typing import Any, Final

import boa
from boa.vm.py_evm import PyEVM
from eth.db.account import AccountDB
from eth.exceptions import OutOfGas, Revert

from metis.ai.file import ModelFile, load
from metis.ai.graph import Model
from metis.engine import ChainPrecompiles, ChainSpec, InferenceModel, ModelSet, keccak256
from metis.sdk import INFERENCE, MODEL_REGISTRY, VECTORS, InferenceConstants
from metis.sdk.chain_constants import ChainConstants
from metis.sdk.genesis import genesis_document
from metis.sdk.inference import inference_accounts, registry_abi
from metis.sdk.parts import EthereumFees
from metis.types import Address, Hash32

__all__ = ["MetisEnv", "use"]

_CHAIN_ID: Final = 1


class _Evm(PyEVM):  # type: ignore[misc] # titanoboa has no types
    """py-evm with the precompiles of a chain with inference, run by the engine."""

    def __init__(self, env: Any, chain: ChainSpec) -> None:
        self._chain = chain
        self._known: tuple[int, ChainPrecompiles] | None = None
        self._transaction: Any = None
        super().__init__(env)

    def _init_vm(self, account_db_class: Any = AccountDB) -> None:
        super()._init_vm(account_db_class)
        computations = self.vm.state.computation_class
        own = {bytes(address): self._run for address in (INFERENCE, VECTORS)}
        computations._precompiles = {**computations._precompiles, **own}

    def _precompiles(self, transaction: Any) -> ChainPrecompiles:
        """Those of the block, told where a transaction begins."""
        number = self.patch.block_number
        if self._known is None or self._known[0] != number:
            self._known = (number, ChainPrecompiles(self._chain, number, self.patch.timestamp))
        if transaction is not self._transaction:
            self._transaction = transaction
            self._known[1].begin_transaction()
        return self._known[1]

    def _run(self, computation: Any) -> Any:
        message, state = computation.msg, computation.state
        # Where code is borrowed, value arrives at the borrower.
        arrives = message.should_transfer_value and message.storage_address == message.code_address
        status, output, gas_used, logs = self._precompiles(computation.transaction_context).run(
            message.code_address,
            bytes(message.data),
            message.gas,
            message.sender,
            message.value if arrives else 0,
            state.get_storage,
        )
        if status == "halt":
            raise OutOfGas("the call's gas does not pay for the model's run")
        computation.consume_gas(gas_used, "inference")
        computation.output = output
        if status == "revert":
            raise Revert(output)
        for address, topics, data in logs:
            computation.add_log_entry(address, tuple(int.from_bytes(topic, "big") for topic in topics), data)
        return computation


class MetisEnv(boa.Env):  # type: ignore[misc] # titanoboa has no types
    """
    A titanoboa environment on a chain with inference, on which ``eoa`` is the sequencer.

    Attributes
    ----------
    models : what contracts can run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.nickname = "metis"
        self.models = ModelSet()
        constants = InferenceConstants(Address(bytes(self.eoa.canonical_address)))
        document = genesis_document(
            ChainConstants(chain_id=_CHAIN_ID, accounts={}, inference=constants), EthereumFees()
        )
        self.evm = _Evm(self, ChainSpec.from_genesis(json.dumps(document).encode(), self.models))
        for address, account in inference_accounts(constants).items():
            place = boa.util.abi.Address(bytes(address))
            self.evm.set_code(place, account.code)
            for slot, value in account.storage.items():
                self.evm.set_storage(place, slot, value)

    @property
    def registry(self) -> Any:
        """The registry of models, as a contract."""
        return boa.loads_abi(json.dumps(registry_abi()), name="ModelRegistry").at(f"0x{MODEL_REGISTRY.hex()}")

    def add_model(
        self, model: str | os.PathLike[str] | ModelFile | Model, *, price_wei: int = 0, owner: Any = None
    ) -> Hash32:
        """
        Make a model callable from now on, and give its id.

        Parameters
        ----------
        model : a model's file, or the model.
        price_wei : what a call pays. owner : to whom; ``eoa`` by default.

        Raises
        ------
        InvalidModelFile, InvalidGraph, InvalidWeights : it is none.
        """
        if isinstance(model, str | os.PathLike):
            model = load(model)
        if isinstance(model, Model):
            model = ModelFile.of(model)
        weights = model.model.weights
        model_id = model.model.id
        self.models.add(model_id, InferenceModel.from_bytes(model.graph_bytes, weights.raw))
        who = boa.util.abi.Address(owner or self.eoa)
        # SPEC: contracts/inference/ModelRegistry.vy, the struct behind the mapping in slot 0.
        first = int.from_bytes(keccak256(bytes(32) + model_id), "big")
        fields = (
            int.from_bytes(who.canonical_address, "big"),
            price_wei,
            self.evm.patch.block_number,
            0,
            len(model.graph_bytes) + len(weights.raw),
        )
        registry = boa.util.abi.Address(bytes(MODEL_REGISTRY))
        for place, value in enumerate(fields):
            self.evm.set_storage(registry, (first + place) % (1 << 256), value)
        return model_id


def use() -> MetisEnv:
    """Make a new environment titanoboa's, and give it; ``with boa.set_env(MetisEnv())`` does so for a block of code."""
    env = MetisEnv()
    boa.set_env(env)
    return env
