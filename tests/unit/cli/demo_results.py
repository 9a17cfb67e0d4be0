"""Results of a demonstration, one of everything."""

from __future__ import annotations

from metis.cli.demo.results import (
    Crash,
    Crowd,
    LanguageModel,
    Parallel,
    PublishedModel,
    Receipts,
    Results,
    Score,
    Verdict,
    Wave,
)
from metis.types import Hash32

__all__ = ["results"]


def results() -> Results:
    """One of everything."""
    model = PublishedModel("digits", Hash32(bytes(32)), 1_000, 2_000, 12_000, Score("right answers", 0.97, 0.96))
    wave = Wave(transactions=60, inferences=45, succeeded=58, blocks=1, gas=39_000_000, send_ms=40, mine_ms=160)
    return Results(
        machine={"machine": "a <machine>"},
        models=[model],
        inferences=45,
        crowd=Crowd((wave,), 60, 12, 11, 9, 45, 45),
        crash=Crash(79, 0, 46, 47, 30, 400),
        verdict=Verdict(48, 145, 0, 900, {"block": "another root", "model": "another hash"}),
        parallel=Parallel(3, 480, 2, 300, 170, 40, 5, 12.0, 500, 300, 200),
        receipts=Receipts(20, 20, 1_000, 400, 90, "matmul", "matmul"),
        language_model=LanguageModel(456_000_000, 700, 70, 4_000, 1.0),
    )
