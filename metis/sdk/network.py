"""
Networks: parts chosen by name, and the constants of a chain.

    Network.from_preset("hyperion").open()      one of ours
    Network.from_toml("my-chain.toml").open()   a file of the same format
    Network.compose(name="mine", chain=...)     in Python
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from metis import engine
from metis.interfaces import Executor, FeePolicy, StateStore, VirtualMachine
from metis.sdk.chain_constants import ChainConstants
from metis.sdk.genesis import genesis_accounts, genesis_document
from metis.sdk.preset_file import read_preset
from metis.sdk.registry import check_part, create_part
from metis.types import CompositionError, Hash32

if TYPE_CHECKING:
    from metis.engine import ModelSet
    from metis.sdk.chain import Chain

__all__ = ["Network", "preset_names"]

_PRESETS = Path(__file__).parent / "presets"


def preset_names() -> tuple[str, ...]:
    """Names of the presets that come with Metis, sorted."""
    names = (entry.name.removesuffix(".toml") for entry in _PRESETS.iterdir() if entry.name.endswith(".toml"))
    return tuple(sorted(names))


@dataclass(frozen=True, slots=True)
class Network:
    """A composed network: which parts, and which chain. Make one with :meth:`compose`."""

    name: str
    chain: ChainConstants
    state_store: StateStore
    virtual_machine: VirtualMachine
    executor: Executor
    fee_policy: FeePolicy

    @classmethod
    def compose(
        cls,
        *,
        name: str,
        chain: ChainConstants,
        state_store: str | StateStore = "metisdb",
        virtual_machine: str | VirtualMachine = "interpreter",
        executor: str | Executor = "sequential",
        fee_policy: str | FeePolicy = "ethereum",
    ) -> Network:
        """
        Compose a network from parts.

        Parameters
        ----------
        name : of the network, for people.
        chain : its constants.
        state_store, virtual_machine, executor, fee_policy : the name of a part
            (:func:`metis.sdk.available_parts`), or the part itself.

        Raises
        ------
        CompositionError : a part does not exist, or does not implement its interface.
        """
        return cls(
            name=name,
            chain=chain,
            state_store=cast(StateStore, _part("state_store", state_store)),
            virtual_machine=cast(VirtualMachine, _part("virtual_machine", virtual_machine)),
            executor=cast(Executor, _part("executor", executor)),
            fee_policy=cast(FeePolicy, _part("fee_policy", fee_policy)),
        )

    @classmethod
    def from_preset(cls, name: str) -> Network:
        """
        Compose one of the networks that come with Metis.

        Parameters
        ----------
        name : one of :func:`preset_names`.

        Raises
        ------
        CompositionError : there is no such preset.
        """
        if name not in preset_names():
            available = ", ".join(preset_names())
            raise CompositionError("Network", name, f"there is no such preset; available: {available}")
        return cls._from_text((_PRESETS / f"{name}.toml").read_text(encoding="utf-8"))

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Network:
        """
        Compose the network that a preset file describes. Start from a copy of one of ours.

        Raises
        ------
        GenesisError : the file is not TOML, or a field is bad, missing or unknown; names the field.
        CompositionError : as for :meth:`compose`.
        OSError : the file cannot be read.
        """
        return cls._from_text(Path(path).read_text(encoding="utf-8"))

    @classmethod
    def _from_text(cls, text: str) -> Network:
        preset = read_preset(text)
        parts = {slot: create_part(slot, part.name, part.options) for slot, part in preset.parts.items()}
        return cls.compose(name=preset.name, chain=preset.chain, **cast(dict[str, Any], parts))

    def genesis(self) -> dict[str, Any]:
        """
        Write the chain's genesis document, in geth's format.

        Raises
        ------
        GenesisError : the constants do not describe a chain.
        """
        return genesis_document(self.chain, self.fee_policy)

    def open(self, models: ModelSet | None = None) -> Chain:
        """
        Start the chain: a fresh store with the genesis accounts, and block 0.

        Parameters
        ----------
        models : that contracts can call, where the chain has inference; more can be added later.

        Raises
        ------
        GenesisError : the constants do not describe a chain.
        CompositionError : a part's handle is not one of the engine's.
        """
        from metis.sdk.chain import Chain

        document = json.dumps(self.genesis()).encode()
        spec = engine.ChainSpec.from_genesis(document, models)
        store = self.state_store.open(genesis_accounts(self.chain))
        if not isinstance(store, engine.MemoryStore | engine.MetisStore):
            problem = f"opened a {type(store).__name__}, which is not one of the engine's stores"
            raise CompositionError("StateStore", self.state_store.name, problem)
        registry = self.virtual_machine.frame_runner
        if registry is not None and not isinstance(registry, engine.CodeRegistry):
            problem = f"brings a {type(registry).__name__}, which is not the engine's registry of compiled code"
            raise CompositionError("VirtualMachine", self.virtual_machine.name, problem)
        genesis = engine.genesis_block(document, Hash32(store.state_root()))
        return Chain(self.chain, spec, store, genesis, registry, self.executor.workers)


def _part(slot: str, part: object) -> object:
    if isinstance(part, str):
        return create_part(slot, part)
    return check_part(slot, getattr(part, "name", type(part).__name__), part)
