"""Control flow, stack and gas of compiled code: every amount of gas gives what tier 0 gives."""

from __future__ import annotations

import pytest

from metis import engine
from metis.vm.compiler.options import Options
from metis.vm.compiler.pipeline import Plan, plan_code
from tests.unit.vm.compiler.compiling import FORK, compiled, counts, difference, push


def planned(code: bytes) -> Plan:
    plan = plan_code(code, FORK, Options())
    assert isinstance(plan, Plan), plan
    return plan


def loop(count: int) -> bytes:
    """Count down from ``count``, then return."""
    return push(count) + bytes.fromhex("5b6001900380") + push(len(push(count))) + bytes.fromhex("575f5ff3")


@pytest.mark.parametrize("level", [0, 2])
def test_loop__every_gas_limit_up_to_enough__as_in_tier_0(level: int) -> None:
    assert difference(loop(10), gas_limits=range(400), level=level) is None


def test_loop__enough_gas__never_leaves_compiled_code() -> None:
    registry = compiled(loop(200))
    spec = engine.ChainSpec.at_fork(FORK)
    assert engine.compare_tiers(spec, loop(200), b"", [1_000_000], registry) is None
    row = counts(registry)
    assert row["frames_compiled"] == 1
    assert not any(row["deoptimisations"].values())


def test_loop__that_never_ends__ends_by_gas_as_in_tier_0() -> None:
    assert difference(bytes.fromhex("5b5f56"), gas_limits=[0, 1, 10, 11, 12, 100_000]) is None


def test_loop__that_grows_the_stack__overflows_as_in_tier_0() -> None:
    assert difference(bytes.fromhex("5b5f600056"), gas_limits=[100, 12_000, 20_000, 100_000]) is None


@pytest.mark.parametrize("code", ["01", "5f01", "80", "5f81", "90", "5f90", "50", "56", "5f57", "52", "5f5b5050"])
def test_stack__too_few_words__fails_as_in_tier_0(code: str) -> None:
    assert difference(bytes.fromhex(code), gas_limits=range(30)) is None


def test_stack__full__one_word_more_fails_as_in_tier_0() -> None:
    assert difference(b"\x5f" * 1024 + bytes.fromhex("50"), gas_limits=[100_000]) is None
    assert difference(b"\x5f" * 1025, gas_limits=[2047, 2048, 2049, 2050, 100_000]) is None


@pytest.mark.parametrize("target", [0, 1, 3, 4, 5, 100, 2**32, 2**64, 2**255])
def test_jump__any_target_known_or_not__as_in_tier_0(target: int) -> None:
    # 0: PUSH0 CALLDATALOAD JUMP, then JUMPDEST at 3, a PUSH1 of a 0x5b at 4.
    assert difference(bytes.fromhex("5f35565b605b00"), target.to_bytes(32, "big"), gas_limits=range(60)) is None
    assert difference(push(target) + bytes.fromhex("56"), gas_limits=range(30)) is None
    assert difference(push(1) + push(target) + bytes.fromhex("57"), gas_limits=range(30)) is None


def function_called_twice() -> bytes:
    """f(3) + f(2), where f(x) = x * x; the return addresses lie on the stack."""
    head = bytes.fromhex("6007") + push(3) + push(16) + bytes.fromhex("56")
    assert len(head) == 7
    second = bytes.fromhex("5b600f") + push(2) + push(16) + bytes.fromhex("56")
    assert len(head + second) == 15
    return head + second + bytes.fromhex("5b") + bytes.fromhex("5b80029056") + b"\x00"


def test_function__small_and_called_twice__is_inlined() -> None:
    plan = planned(function_called_twice())
    assert plan.flow.entries == [0]
    assert not plan.flow.dynamic_targets


def test_function__small_and_called_twice__as_in_tier_0_for_every_gas_limit() -> None:
    assert difference(function_called_twice(), gas_limits=range(150)) is None


def test_function__not_inlined__comes_back_through_the_jump_table() -> None:
    code = function_called_twice()
    plan = plan_code(code, FORK, Options(inline_sizes=(0,)))
    assert isinstance(plan, Plan)
    assert plan.flow.dynamic_targets


def test_gas__opcode_in_the_middle_of_a_run__is_exact() -> None:
    code = bytes.fromhex("5f505a5f515060015a015f5260205ff3")
    assert difference(code, gas_limits=range(200)) is None


def test_effects__before_gas_runs_out_in_the_same_run__are_undone_as_in_tier_0() -> None:
    code = bytes.fromhex("60015f5560026001556003600255") + bytes.fromhex("6001600101505050")
    assert difference(code, gas_limits=range(0, 70_000, 501)) is None


@pytest.mark.parametrize("fork", engine.fork_names())
def test_code__every_fork__as_in_tier_0(fork: str) -> None:
    code = bytes.fromhex("600160020a600302600556") + bytes.fromhex("5b60016000555f1c1e4648")
    assert difference(code, gas_limits=range(0, 30_000, 997), fork=fork) is None
