"""Whole blocks: what the engine builds and accepts equals the executable specification."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.differential import blocks, subject
from tests.differential.case import ChainCase
from tests.differential.compare import assert_same
from tests.differential.generated import check_generated
from tests.differential.mutations import mutations
from tests.differential.oracle_client import Oracle

# What a header may say freely (the gas limit within its bounds), as long as no code in the block looks.
FREE = {
    "unchanged",
    "prev_randao: last bit flipped",
    "extra_data: last bit flipped",
    "gas_limit: one more",
    "gas_limit: one less",
}


@pytest.mark.parametrize("name", blocks.SCENARIOS)
def test_block__named_scenario__is_built_byte_for_byte_alike(oracle: Oracle, name: str) -> None:
    """The oracle seals blocks by our code, so its own state_transition must agree first."""
    case = blocks.SCENARIOS[name]()
    built = assert_same(oracle, case)["blocks"]
    request = case.to_request()
    prefix = [{"fork": plan["fork"], "rlp": block["rlp"]} for plan, block in zip(request["blocks"], built, strict=True)]
    answer = oracle.ask({**request, "op": "import", "prefix": prefix, "candidates": []})
    assert [entry["error"] for entry in answer["prefix"]] == [""] * len(prefix)


@pytest.mark.parametrize("name", blocks.REFUSED_PLANS)
def test_block__plan_that_breaks_a_rule__is_built_by_neither(oracle: Oracle, name: str) -> None:
    answer = assert_same(oracle, blocks.REFUSED_PLANS[name]())
    assert not answer["blocks"][-1]["built"]


def compare_imports(oracle: Oracle, case: ChainCase, wanted: int) -> dict[str, Any]:
    """Try every mutation of block ``wanted`` on both sides; returns which the oracle accepted."""
    request = case.to_request()
    built = oracle.ask(request)["blocks"]
    entries = [
        {"fork": plan["fork"], "rlp": block["rlp"]} for plan, block in zip(request["blocks"], built, strict=False)
    ]
    prefix, victim = entries[:wanted], entries[wanted]
    changed = mutations(bytes.fromhex(victim["rlp"][2:]))
    candidates = [{"fork": victim["fork"], "rlp": "0x" + rlp.hex()} for rlp in changed.values()]
    expected = oracle.ask({**request, "op": "import", "prefix": prefix, "candidates": candidates})["candidates"]
    actual = subject.import_candidates(case, [entry["rlp"] for entry in prefix], [entry["rlp"] for entry in candidates])
    different = {
        name: f"oracle {left['error'] or 'accepts'}, engine {right['error'] or 'accepts'}: {candidate['rlp']}"
        for name, left, right, candidate in zip(changed, expected, actual, candidates, strict=True)
        if left["accepted"] != right["accepted"]
    }
    assert not different, json.dumps(different, indent=1) + json.dumps(request)
    return {name: left["accepted"] for name, left in zip(changed, expected, strict=True)}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("requests of every type", 0), ("withdrawals at Osaka", 0), ("blobs while dear", 1), ("every type at Osaka", 0)],
)
def test_block__changed_in_one_place__is_refused_by_both(oracle: Oracle, name: str, wanted: int) -> None:
    case = blocks.SCENARIOS[name]()
    accepted = compare_imports(oracle, case, wanted)
    free = FREE if case.blocks[wanted].transactions else FREE | {"beneficiary: last bit flipped"}
    assert {mutation for mutation, yes in accepted.items() if yes} == free


def test_block__random_chains__equal_specification(oracle: Oracle) -> None:
    covered = check_generated(oracle, blocks.random_chain, examples=25)
    assert covered["success"] > 0


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_block__many_random_chains__equal_specification(oracle: Oracle) -> None:
    check_generated(oracle, blocks.random_chain, examples=800)
