"""The story for programs: one JSON object per step, and one at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metis.cli.demo.results import Results
from metis.cli.output import write_json

__all__ = ["JsonTelling", "summary"]


class JsonTelling:
    """Writes lines to stdout."""

    def __init__(self) -> None:
        self._name = ""

    def begin(self, name: str, _title: str, /) -> None:
        """Remember which step it is."""
        self._name = name

    def progress(self, _text: str, /) -> None:
        """Nothing: a line is a step."""

    def done(self, proves: str, facts: Mapping[str, Any]) -> None:
        """Write the step."""
        write_json({"step": self._name, "proves": proves, "facts": dict(facts)})

    def left_out(self, why: str) -> None:
        """Write the step."""
        write_json({"step": self._name, "left_out": why})

    def end(self, results: Results) -> None:
        """Write the summary."""
        write_json(summary(results))


def summary(results: Results) -> dict[str, Any]:
    """What matters of all, with None for what was left out."""
    verdict, language = results.verdict, results.language_model
    digits = next((model for model in results.models if model.score.measure == "right answers"), None)
    return {
        "ok": results.ok,
        "problems": results.problems,
        "left_out": results.left_out,
        "blocks": None if verdict is None else verdict.blocks,
        "transactions": None if verdict is None else verdict.transactions,
        "inferences": results.inferences,
        "lost_after_kill": None if results.crash is None else results.crash.lost,
        "verifier": None if verdict is None else {"blocks": verdict.blocks, "mismatches": verdict.mismatches},
        "accuracy": None if digits is None else {"float": digits.score.of_float, "quantised": digits.score.of_integer},
        "parallel_speedup": None if results.parallel is None else round(results.parallel.speedup, 2),
        "receipts": None
        if results.receipts is None
        else {"valid": results.receipts.valid, "falsified_pinpointed": bool(results.receipts.pinpointed_operator)},
        "vm_speedup": None if language is None else round(language.speedup, 2),
    }
