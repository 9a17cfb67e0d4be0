"""The language model that was written in EVM bytecode."""

from __future__ import annotations

from pathlib import Path

from metis.cli.demo.results import LanguageModel
from metis.vm import fixture_files
from metis.vm.bench import bench_file

__all__ = ["measure_language_model"]


def measure_language_model(path: Path) -> LanguageModel:
    """Run its transaction interpreted and compiled, in turns; both must give the same."""
    (row,) = (row for file in fixture_files([path]) for row in bench_file(file, rounds=1))
    return LanguageModel(row.gas, row.minimum_ms["tier0"], row.minimum_ms["tier1"], row.compile_ms, row.compiled_share)
