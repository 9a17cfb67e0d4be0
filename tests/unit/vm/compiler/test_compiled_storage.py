"""SLOAD of what a frame has met comes from a table: it must never give what is no longer so."""

from __future__ import annotations

import pytest

from metis import engine
from metis.vm.compiler.flow import DESTINATIONS_MAX
from metis.vm.compiler.opcodes import Op
from tests.unit.vm.compiler.compiling import FORK, compiled, counts, difference, push

SSTORE = 0x55
RETURN_TOP = bytes.fromhex("5f5260205ff3")


def load(slot: int) -> bytes:
    return push(slot) + bytes([Op.SLOAD])


def store(slot: int, value: int) -> bytes:
    return push(value) + push(slot) + bytes([SSTORE])


@pytest.mark.parametrize("fork", engine.fork_names())
def test_sload__met_before_or_not__costs_and_gives_what_tier_0_says(fork: str) -> None:
    code = load(3) + load(3) + store(3, 9) + load(3) + load(4) + store(4, 1) + load(3) + load(4)
    code += bytes([Op.ADD] * 5) + (push(0) + bytes([Op.MSTORE]) + push(32) + push(0) + bytes([Op.RETURN]))
    assert difference(code, gas_limits=range(0, 60_000, 97), fork=fork) is None


@pytest.mark.parametrize("level", [0, 2])
def test_sload__every_gas_limit__ends_as_in_tier_0(level: int) -> None:
    code = load(0) + load(0) + bytes([Op.ADD]) + load(1) + bytes([Op.ADD]) + load(0) + bytes([Op.ADD]) + RETURN_TOP
    assert difference(code, gas_limits=range(4700), level=level) is None


def test_sload__of_slots_that_share_their_lowest_bits__gives_each_its_own() -> None:
    slots = [1, 1 + 2**10, 1 + 2**64, 1 + 2**255]
    code = b"".join(store(slot, 10 + index) for index, slot in enumerate(slots))
    for slot in (*slots, *reversed(slots)):
        code += load(slot) + push(100) + bytes([Op.MUL, Op.ADD]) if slot != 1 else load(slot)
    assert difference(code + RETURN_TOP, gas_limits=[200_000]) is None


def test_sload__after_a_call_back_that_wrote__gives_what_was_written() -> None:
    # With call data: store it in slot 0. Without: read slot 0, call oneself with 32 bytes, read it again.
    callee = bytes.fromhex("5f355f5500")
    caller = load(0) + bytes.fromhex("5f5f60205f5f305af150") + load(0) + bytes([Op.ADD]) + RETURN_TOP
    writes = push(7) + bytes.fromhex("5f52")
    body = writes + caller
    head = bytes.fromhex("3660") + bytes([4 + len(body)]) + bytes.fromhex("57")
    code = head + body + bytes.fromhex("5b") + callee
    assert difference(code, gas_limits=[*range(0, 60_000, 499), 200_000]) is None


def test_sload__after_tier_0_wrote_in_the_same_frame__gives_what_was_written() -> None:
    """The jump's target is unknown and no entry, so tier 0 takes it, writes, and comes back to the entry at 0."""
    writer = bytes([Op.JUMPDEST]) + store(0, 7) + bytes.fromhex("5f56")
    start = bytes([Op.JUMPDEST]) + load(0) + bytes.fromhex("80")
    ahead = bytes.fromhex("5f3556")
    end = len(start) + 3 + len(ahead)
    head = start + push(end) + bytes([Op.JUMPI]) + ahead + bytes([Op.JUMPDEST]) + RETURN_TOP
    code = head + bytes([Op.JUMPDEST] * DESTINATIONS_MAX) + writer
    target = len(head) + DESTINATIONS_MAX
    registry = compiled(code)
    spec = engine.ChainSpec.at_fork(FORK)
    assert engine.compare_tiers(spec, code, target.to_bytes(32, "big"), [100_000], registry) is None
    assert counts(registry)["deoptimisations"]["jump"] == 1


def test_keccak256__of_the_same_and_of_other_mapping_keys__as_in_tier_0() -> None:
    code = b""
    for size, word in ((64, 1), (32, 1), (64, 1), (64, 2), (32, 2), (64, 1)):
        code += push(word) + push(0) + bytes([Op.MSTORE]) + push(size) + push(0) + bytes([Op.KECCAK256])
    code += bytes([0x18] * 5)
    assert difference(code + RETURN_TOP, gas_limits=[*range(0, 800, 7), 100_000]) is None
