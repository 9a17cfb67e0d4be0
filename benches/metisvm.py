"""
Compiled code beside plain revm, evmone's figures and a language model in bytecode: ``python -m benches metisvm``.

``python -m benches.metisvm`` also rewrites the chapter of docs/benchmarks.md that has these numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from benches.executor import workload_folder
from benches.harness import CHECKOUT, Measurement, origin, write_results
from metis.cli.output import columns
from metis.cli.vm_bench import as_text
from metis.vm import fixture_files
from metis.vm.bench import CONTESTANTS, Row, bench_file

DOCUMENT: Final = CHECKOUT / "docs" / "benchmarks.md"
BEGIN: Final = "<!-- python -m benches.metisvm writes from here -->\n"
END: Final = "<!-- to here -->\n"

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

ROUNDS: Final = 3
_ROUNDS_A_SECOND: Final = 2


def rows(rounds: int) -> list[Row]:
    """Measure all workloads that are there."""
    folder = workload_folder()
    if not folder.is_dir():
        print(f"skipped: no workloads at {folder} (set METIS_FIXTURES)")
        return []
    return [row for file in fixture_files([folder]) for row in bench_file(file, rounds)]


def measurements(measured: list[Row], rounds: int) -> list[Measurement]:
    """Return what was measured in the form of the other benches, in seconds per transaction."""
    return [
        Measurement(
            name=f"metisvm::transaction/workload={row.name},kind={row.kind}",
            contender={"tier1": "metis", "tier0": "metis tier 0", "revm": "revm"}[contestant],
            amount=row.gas,
            unit="gas",
            min_s=row.minimum_ms[contestant] / 1e3,
            median_s=row.median_ms[contestant] / 1e3,
            round_count=rounds,
        )
        for row in measured
        for contestant in reversed(CONTESTANTS)
    ]


def run(budget_s: float) -> list[Measurement]:
    """Measure for about ``budget_s`` each."""
    rounds = max(ROUNDS, round(budget_s * _ROUNDS_A_SECOND))
    return measurements(rows(rounds), rounds)


def chapter(measured: list[Row]) -> str:
    """Return the chapter's tables as Markdown."""
    distance = columns(
        ("workload", "evmone ms", "tier 1 ms", "ratio"),
        [
            (row.name, f"{EVMONE_MS[row.name]:.4f}", f"{row.minimum_ms['tier1']:.4f}", f"{_against_evmone(row):.2f}")
            for row in measured
            if row.name in EVMONE_MS
        ],
        left=1,
    )
    tokens = columns(
        ("virtual machine", "s for a call", "tokens/s"),
        [
            (name, f"{row.minimum_ms[contestant] / 1e3:.3f}", f"{MODEL_TOKENS / row.minimum_ms[contestant] * 1e3:.1f}")
            for row in measured
            if row.name == MODEL
            for contestant, name in (("revm", "plain revm"), ("tier0", "tier 0"), ("tier1", "MetisVM, compiled"))
        ],
        left=1,
    )
    source = origin()
    return (
        f"```text\n{as_text(measured)}\n```\n\n"
        f"{source['machine']}; commit {source['commit']}.\n\n"
        "### Beside evmone\n\n"
        "evmone's figures are of its interpreter, on another machine (2 cores of Zen 4), of calls without a\n"
        "transaction around them: they say how far away the fastest interpreter is, not more.\n\n"
        f"```text\n{distance}\n```\n\n"
        "### A language model in bytecode\n\n"
        f"onchain-lm-v2 generates {MODEL_TOKENS} tokens in one call.\n\n"
        f"```text\n{tokens}\n```\n"
    )


def _against_evmone(row: Row) -> float:
    return EVMONE_MS[row.name] / row.minimum_ms["tier1"]


def rewrite(document: Path, text: str, begins: str = BEGIN, ends: str = END) -> None:
    """Replace what stands between the marks."""
    before, begin, rest = document.read_text().partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise SystemExit(f"{document} has no marks to write between")
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def main() -> None:
    """Measure, print the chapter, and write it into the document."""
    parser = argparse.ArgumentParser(prog="python -m benches.metisvm", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns of each contestant (default {ROUNDS})")
    arguments = parser.parse_args()
    measured = rows(arguments.rounds)
    if not measured:
        raise SystemExit(1)
    text = chapter(measured)
    print(text)
    rewrite(DOCUMENT, text)
    print(f"written to {DOCUMENT} and {write_results('metisvm', measurements(measured, arguments.rounds))}")


if __name__ == "__main__":
    main()
