"""Compiled code beside plain revm, evmone's figures, and a language model in bytecode."""

from __future__ import annotations

from typing import Any, Final

from benches.chapter import Effort, Measured, block, workload_folder
from benches.commands import measured_by, text_of
from benches.tables import as_table

EVMONE_MS: Final = {
    "snailtracer": 54.9,
    "hash_10k": 3.74,
    "erc20_transfer": 6.99,
    "factorial": 0.0444,
    "fibonacci-calldata": 0.0311,
    "weth": 0.00172,
}
"""
Shortest times of evmone 0.16-dev's baseline interpreter (g++ 12 -O3 -march=x86-64-v3, analysis cached, mocked host)
on 2 cores of Zen 4, calls without a transaction around them.
"""

MODEL: Final = "onchain_lm_v2"
MODEL_TOKENS: Final = 15
"""What the workload's call asks the model in bytecode for: generate(prompt, 15, 230, 42)."""

_HIDDEN: Final = frozenset({"median_ms", "refusals", "frames_compiled_percent", "deoptimisations"})


def measure(effort: Effort) -> Measured:
    """Measure all workloads."""
    rounds = "1" if effort is Effort.QUICK else "3"
    found = measured_by("vm", "bench", str(workload_folder()), "--rounds", rounds)
    return Measured(_text(f"vm bench PATH --rounds {rounds}", found), found)


def _text(line: str, found: Any) -> str:
    rows = [row | {"spread": _spread(row)} for row in found["rows"]]
    distances = [
        {
            "workload": row["name"],
            "evmone ms": EVMONE_MS[row["name"]],
            "tier 1 ms": row["tier1_ms"],
            "ratio": EVMONE_MS[row["name"]] / row["tier1_ms"],
        }
        for row in rows
        if row["name"] in EVMONE_MS
    ]
    tokens = [
        {"virtual machine": name, "s for a call": row[key] / 1e3, "tokens/s": MODEL_TOKENS / row[key] * 1e3}
        for row in rows
        if row["name"] == MODEL
        for key, name in (("revm_ms", "plain revm"), ("tier0_ms", "tier 0"), ("tier1_ms", "MetisVM, compiled"))
    ]
    means = ", ".join(f"{kind} {mean:.2f}" for kind, mean in found["geomean_ratio"].items())
    return (
        f"{text_of(line, {'rows': rows}, _HIDDEN)}\n"
        f"Geometric means of the ratios: {means}.\n\n"
        "### Beside evmone\n\n"
        "evmone's figures are of its interpreter, on another machine (2 cores of Zen 4), of calls without a\n"
        "transaction around them: they say how far away the fastest interpreter is, not more.\n\n"
        f"{block(as_table(distances))}\n"
        "### A language model in bytecode\n\n"
        f"onchain-lm-v2 generates {MODEL_TOKENS} tokens in one call.\n\n"
        f"{block(as_table(tokens))}"
    )


def _spread(row: dict[str, Any]) -> str:
    """How much longer than the shortest round the median one took, of the contestant where that is most."""
    shortest = {"revm": row["revm_ms"], "tier0": row["tier0_ms"], "tier1": row["tier1_ms"]}
    return f"{max(row['median_ms'][name] / shortest[name] - 1 for name in shortest) * 100:.0f} %"
