"""Any bytecode ends in an outcome, and watching it changes nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis import engine
from metis.engine import ChainSpec
from metis.types import Gas
from tests.property.programs import programs

SPECS = {fork: ChainSpec.at_fork(fork) for fork in engine.fork_names()}


@given(
    fork=st.sampled_from(sorted(SPECS)),
    code=st.one_of(programs, st.binary(max_size=200)),
    calldata=st.binary(max_size=70),
    gas_limit=st.integers(0, 200_000).map(Gas),
)
def test_code__traced_or_not__has_the_same_outcome(fork: str, code: bytes, calldata: bytes, gas_limit: Gas) -> None:
    lines: list[bytes] = []

    outcome = engine.run_code(SPECS[fork], code, calldata, gas_limit=gas_limit)
    traced = engine.run_code(SPECS[fork], code, calldata, gas_limit=gas_limit, trace=lines.append)

    assert traced == outcome
    assert outcome.gas_used <= gas_limit
    assert outcome.status in {"success", "revert", "halt"}
    assert (outcome.halt_reason is not None) == (outcome.status == "halt")
    assert outcome.status != "halt" or outcome.gas_used == gas_limit
    assert outcome.status == "success" or outcome.logs == ()
    steps = [json.loads(line) for line in lines]
    depths = [step["depth"] for step in steps if "depth" in step]
    assert all(depth >= 1 for depth in depths)


@pytest.mark.parametrize("fork", sorted(SPECS))
def test_code__every_single_opcode__ends_in_an_outcome_on_every_fork(fork: str) -> None:
    operands = bytes.fromhex("60 20" * 17)
    for opcode in range(256):
        for code in (bytes([opcode]), operands + bytes([opcode]), bytes([opcode]) * 3):
            outcome = engine.run_code(SPECS[fork], code, gas_limit=Gas(100_000))
            assert outcome.status in {"success", "revert", "halt"}
