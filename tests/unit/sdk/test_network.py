"""Networks: composing, presets, opening."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from metis import engine
from metis.engine import MemoryStore
from metis.sdk import (
    ChainConstants,
    CollectedFees,
    MemoryStateStore,
    MetisDbStateStore,
    Network,
    ParallelExecutor,
    available_parts,
    preset_names,
)
from metis.types import Account, Address, CompositionError, GenesisError, Hash32, Wei

CHAIN = ChainConstants(chain_id=7, accounts={Address(bytes([1]) * 20): Account(balance_wei=Wei(10))})


class PreloadedStore:
    """A third party's store: the engine's, with one more account."""

    name = "preloaded"

    def open(self, alloc: Mapping[Address, Account]) -> MemoryStore:
        return MemoryStateStore().open({**alloc, Address(bytes([2]) * 20): Account(nonce=5)})


class NoStore:
    name = "no-store"

    def open(self, alloc: Mapping[Address, Account]) -> Any:
        return dict(alloc)


class NamelessStore:
    def open(self, alloc: Mapping[Address, Account]) -> Any:
        return dict(alloc)


class FastMachine:
    name = "fast"
    frame_runner = object()


def test_compose__parts_by_name__are_those_parts() -> None:
    network = Network.compose(name="mine", chain=CHAIN)

    names = (network.state_store.name, network.virtual_machine.name, network.executor.name, network.fee_policy.name)
    assert names == ("metisdb", "interpreter", "sequential", "ethereum")


def test_compose__a_part_given_as_an_object__is_used() -> None:
    chain = Network.compose(name="mine", chain=CHAIN, state_store=PreloadedStore()).open()

    assert engine.account_state(chain.store, Address(bytes([2]) * 20)) is not None


@pytest.mark.parametrize(
    ("slot", "interface"),
    [
        ("state_store", "StateStore"),
        ("virtual_machine", "VirtualMachine"),
        ("executor", "Executor"),
        ("fee_policy", "FeePolicy"),
    ],
)
def test_compose__an_unknown_name__error_lists_the_known_ones(slot: str, interface: str) -> None:
    with pytest.raises(CompositionError) as caught:
        Network.compose(name="mine", chain=CHAIN, **{slot: "nonesuch"})

    assert (caught.value.interface, caught.value.name) == (interface, "nonesuch")
    assert all(name in caught.value.problem for name in available_parts(slot))


def test_compose__an_object_without_a_member__error_names_it() -> None:
    with pytest.raises(CompositionError, match=r"no member 'name' of StateStore"):
        Network.compose(name="mine", chain=CHAIN, state_store=NamelessStore())  # type: ignore[arg-type]


def test_compose__a_part_of_another_interface__error_names_what_is_missing() -> None:
    with pytest.raises(CompositionError, match=r"no member 'workers' of Executor"):
        Network.compose(name="mine", chain=CHAIN, executor=PreloadedStore())  # type: ignore[arg-type]


def test_open__a_virtual_machine_that_the_engine_does_not_know__is_refused() -> None:
    with pytest.raises(CompositionError, match="brings a object"):
        Network.compose(name="mine", chain=CHAIN, virtual_machine=FastMachine()).open()


def test_compose__more_workers_than_make_sense__is_refused() -> None:
    with pytest.raises(CompositionError, match="workers is -1"):
        ParallelExecutor(workers=-1)


def test_open__a_store_that_is_not_the_engines__is_refused() -> None:
    with pytest.raises(CompositionError, match="opened a dict"):
        Network.compose(name="mine", chain=CHAIN, state_store=NoStore()).open()


def test_open__twice__gives_two_chains_with_one_genesis() -> None:
    network = Network.from_preset("hyperion")
    first, second = network.open(), network.open()

    first.build([])

    assert first.genesis.hash == second.genesis.hash == second.head.hash
    assert (first.store.block_number, second.store.block_number) == (1, 0)


@pytest.mark.parametrize("name", ["ethereum", "hyperion"])
def test_preset__every_one_of_ours__opens_and_makes_blocks(name: str) -> None:
    chain = Network.from_preset(name).open()

    chain.build([])

    header = engine.describe_block(chain.head).header
    assert header.number == 1
    assert header.state_root == chain.store.state_root()


def test_preset_names__are_those_of_the_files() -> None:
    assert preset_names() == ("ethereum", "hyperion")


def test_preset__an_unknown_one__error_lists_the_known_ones() -> None:
    with pytest.raises(CompositionError, match="available: ethereum, hyperion"):
        Network.from_preset("andromeda")


def test_preset__hyperion__differs_from_ethereum_where_it_says_so() -> None:
    hyperion, ethereum = Network.from_preset("hyperion"), Network.from_preset("ethereum")

    assert (hyperion.chain.chain_id, ethereum.chain.chain_id) == (7_133_717, 7_133_701)
    assert hyperion.chain.transaction_gas_limit_cap == hyperion.chain.block_gas_limit == 60_000_000
    assert ethereum.chain.transaction_gas_limit_cap == 16_777_216
    assert hyperion.fee_policy.base_fee_recipient == bytes.fromhex("4200000000000000000000000000000000000019")
    assert ethereum.fee_policy.base_fee_recipient is None
    assert hyperion.chain.accounts == ethereum.chain.accounts


def test_from_toml__a_changed_copy_of_a_preset__is_a_network_of_its_own(checkout: Path, tmp_path: Path) -> None:
    original = (checkout / "metis" / "sdk" / "presets" / "hyperion.toml").read_text(encoding="utf-8")
    copy = tmp_path / "mine.toml"
    copy.write_text(original.replace("chain_id = 7133717", "chain_id = 1234567"), encoding="utf-8")

    network = Network.from_toml(copy)

    assert network.chain.chain_id == 1_234_567
    assert network.open().spec.chain_id == 1_234_567


def test_from_toml__a_file_that_does_not_exist__is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Network.from_toml(tmp_path / "absent.toml")


def test_open__a_chain_the_engine_refuses__names_the_field() -> None:
    broken = ChainConstants(chain_id=7, initial_base_fee_wei=Wei(2**64))
    with pytest.raises(GenesisError) as caught:
        Network.compose(name="mine", chain=broken).open()

    assert caught.value.field == "baseFeePerGas"


def test_fee_policy__collected__takes_an_address_as_bytes_or_text() -> None:
    address = Address(bytes.fromhex("42" * 20))

    assert CollectedFees(address).base_fee_recipient == CollectedFees("0x" + "42" * 20).base_fee_recipient == address


@pytest.mark.parametrize("recipient", ["0x42", "0x" + "zz" * 20, bytes(19)])
def test_fee_policy__a_recipient_that_is_no_address__is_refused(recipient: Any) -> None:
    with pytest.raises(CompositionError, match="base_fee_recipient"):
        CollectedFees(recipient)


def test_genesis_block__state_root__is_the_stores() -> None:
    chain = Network.from_preset("hyperion").open()

    header = engine.describe_block(chain.genesis).header

    assert header.state_root == Hash32(chain.store.state_root())
    assert (header.number, header.timestamp_s, header.gas_limit) == (0, 1_767_225_600, 60_000_000)
    assert header.extra_data == b"metis/hyperion"


def test_open__a_network_on_metisdb__has_the_genesis_of_the_one_in_memory(tmp_path: Path) -> None:
    kept, plain = (Network.compose(name="mine", chain=CHAIN, state_store=part).open() for part in ("metisdb", "memory"))
    assert kept.store.state_root() == plain.store.state_root()
    assert kept.build([]).block.hash == plain.build([]).block.hash
    on_disk = Network.compose(name="mine", chain=CHAIN, state_store=MetisDbStateStore(str(tmp_path)))
    assert on_disk.open().build([]).block.hash == plain.head.hash
    with pytest.raises(CompositionError, match="holds a store already"):
        on_disk.open()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"durability": "never"}, "durability must be one of every-block, on-flush, on-checkpoint"),
        ({"history": "all"}, "history must be one of window, archive"),
        ({"history": "archive"}, "an archive is kept in a folder"),
    ],
)
def test_metisdb__options_that_it_does_not_have__are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(CompositionError, match=problem):
        MetisDbStateStore(**options)


def test_metisdb__as_an_archive__has_states_older_than_its_window(tmp_path: Path) -> None:
    part = MetisDbStateStore(str(tmp_path), kept_block_count=1, history="archive")
    chain = Network.compose(name="mine", chain=CHAIN, state_store=part).open()
    genesis_root = chain.store.state_root(0)
    for _ in range(4):
        chain.build([])
    assert isinstance(chain.store, engine.MetisStore)
    chain.store.checkpoint()
    assert (chain.store.oldest_block_number, chain.store.state_root(0)) == (0, genesis_root)
