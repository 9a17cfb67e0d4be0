"""A slice of ``python -m fuzz.calls``: the engine's precompiles and the rules written down once more agree."""

from __future__ import annotations

from random import Random

from fuzz.call_rules import expected
from fuzz.calls import World, judged_by_engine, new_call


def test_calls__well_formed_and_mutated__are_judged_as_the_rules_say() -> None:
    world, random = World(), Random(20)
    statuses = set()
    for _ in range(2_000):
        call = new_call(random)
        found = judged_by_engine(world, call)
        assert found == expected(*call), call
        statuses.add(found.output[:4] if found.status == "revert" else found.status.encode())
    # Success, out of gas, and each of the six refusals.
    assert len(statuses) >= 8
