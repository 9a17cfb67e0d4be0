"""A code registry from Python: what becomes hot, what is refused, and that results do not depend on it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from metis import engine
from metis.engine import CodeRegistry
from metis.sdk import Network
from metis.types import ArtifactRejected, BlockAttributes, DecodeError, Gas, GenesisError, TimestampS, Wei
from tests.unit.engine.small_world import ENVIRONMENT, LOGGER, SPEC, open_world, transfer

# PUSH1 5, JUMPDEST, count down in storage: DUP1 DUP1 SSTORE, PUSH1 1 SWAP1 SUB, DUP1 PUSH1 2 JUMPI.
LOOP = bytes.fromhex("60055b808055600190038060025700")
GAS = Gas(200_000)


def run(registry: CodeRegistry | None) -> Any:
    return engine.run_code(SPEC, LOOP, gas_limit=GAS, registry=registry)


def test_registry__mode_that_does_not_exist__is_refused() -> None:
    with pytest.raises(DecodeError, match="mode"):
        CodeRegistry("always")


@pytest.mark.parametrize("mode", ["off", "auto", "eager"])
def test_registry__mode__is_the_one_given(mode: str) -> None:
    assert CodeRegistry(mode).mode == mode


def test_auto__code_that_spends_enough_gas__is_hot_once_and_reported() -> None:
    gas = run(None).gas_used
    registry = CodeRegistry("auto", hot_gas=2 * gas)

    assert run(registry) == run(None)
    assert registry.take_hot(0, 10) == []
    run(registry)

    assert registry.take_hot(0, 10) == [(engine.keccak256(LOOP), "Osaka", LOOP)]
    assert registry.take_hot(0, 10) == []
    (report,) = registry.report()
    assert report["state"] == "hot"
    assert report["gas_interpreted"] == 2 * gas
    assert (report["frames_interpreted"], report["frames_compiled"]) == (2, 0)


def test_eager__init_code__is_hot_when_first_met() -> None:
    registry = CodeRegistry("eager")
    create = transfer(to=None, value_wei=Wei(0), data=bytes.fromhex("60fe5f5360015ff3"))

    engine.execute_transaction(open_world(), SPEC, ENVIRONMENT, create, registry=registry)

    assert [code for _, _, code in registry.take_hot(0, 10)] == [bytes.fromhex("60fe5f5360015ff3")]


def test_off__nothing_is_counted_and_nothing_taken() -> None:
    registry = CodeRegistry("off")
    run(registry)
    assert registry.report() == []
    with pytest.raises(ArtifactRejected) as rejected:
        registry.install(b"MTVM")
    assert rejected.value.reason == "off"


def test_take_hot__waits_with_the_interpreter_lock_free() -> None:
    registry = CodeRegistry("eager")
    taken: list[Any] = []
    waiting = threading.Thread(target=lambda: taken.extend(registry.take_hot(30_000, 10)))
    waiting.start()
    run(registry)
    waiting.join(timeout=30)
    assert len(taken) == 1


@pytest.mark.parametrize(("artifact", "reason"), [(b"", "truncated"), (b"ELF!" + b"\0" * 200, "magic")])
def test_install__bytes_that_are_no_artifact__are_refused_and_counted(artifact: bytes, reason: str) -> None:
    registry = CodeRegistry("auto")
    with pytest.raises(ArtifactRejected) as rejected:
        registry.install(artifact)
    assert rejected.value.reason == reason
    assert registry.counters()["rejected"] == 1


def test_refuse__code__is_reported_and_not_hot_again() -> None:
    registry = CodeRegistry("eager")
    registry.refuse(engine.keccak256(LOOP), "Osaka", "too large")
    assert run(registry) == run(None)
    assert registry.take_hot(0, 10) == []
    (report,) = registry.report()
    assert (report["state"], report["refusal"]) == ("refused", "too large")
    with pytest.raises(GenesisError):
        registry.refuse(bytes(32), "Atlantis", "")


def test_forks__with_one_rule_set__share_their_code() -> None:
    registry = CodeRegistry("eager")
    spec = engine.ChainSpec.at_fork("Constantinople")
    engine.run_code(spec, LOOP, gas_limit=GAS, registry=registry)
    assert [fork for _, fork, _ in registry.take_hot(0, 10)] == ["Petersburg"]


def test_blocks__built_and_imported_with_a_registry__are_the_same() -> None:
    registry = CodeRegistry("eager")
    chains = [Network.from_preset("hyperion").open() for _ in range(2)]
    attributes = BlockAttributes(timestamp_s=TimestampS(2**31), gas_limit=chains[0].constants.block_gas_limit)
    built = [
        engine.build_block(chain.store, chain.spec, chain.head, attributes, [], registry=used)
        for chain, used in zip(chains, (registry, None), strict=True)
    ]
    assert built[0].block.hash == built[1].block.hash
    third = Network.from_preset("hyperion").open()
    engine.import_block(third.store, third.spec, third.head, built[0].block, registry=registry)
    # System contracts ran, at the least.
    assert registry.report()


@pytest.mark.parametrize("contestant", ["revm", "tier0", "tier1"])
def test_bench__of_each_contestant__gives_the_outcome_and_one_time_a_round(contestant: str) -> None:
    call = transfer(to=LOGGER, value_wei=Wei(0), data=b"hello")
    measured = engine.bench_transaction(open_world(), SPEC, ENVIRONMENT, call, contestant, 3, CodeRegistry("auto"))

    outcome = engine.execute_transaction(open_world(), SPEC, ENVIRONMENT, call)
    assert len(measured["times_ns"]) == 3
    assert measured["outcome"]["gas_used"] == outcome.gas_used
    assert measured["outcome"]["state_root"] == outcome.state_root
    assert measured["outcome"]["logs_hash"] == outcome.logs_hash


def test_bench__contestant_that_does_not_exist__is_refused() -> None:
    with pytest.raises(DecodeError, match="contestant"):
        engine.bench_transaction(open_world(), SPEC, ENVIRONMENT, transfer(), "geth", 1)


def test_compare_tiers__with_nothing_compiled__finds_no_difference() -> None:
    limits = range(0, 120_000, 7_000)
    assert engine.compare_tiers(SPEC, LOOP, b"", list(limits), CodeRegistry("auto")) is None


def test_opcode_table__of_a_fork__knows_what_is_active() -> None:
    osaka, frontier = engine.opcode_table("Osaka"), engine.opcode_table("Frontier")
    assert osaka[0x5F] == ("PUSH0", 2, 0, 1, True)
    assert frontier[0x5F][4] is False
    assert osaka[0x0C] == ("", 0, 0, 0, False)
    assert (frontier[0x54][1], osaka[0x54][1]) == (50, 100)
    with pytest.raises(GenesisError):
        engine.opcode_table("Atlantis")


def test_machine_target__names_system_and_cpu() -> None:
    target = engine.machine_target()
    assert target == "" or target.split()[1].startswith("x86-64")
