"""What was fuzzed without a difference: fuzz/RESULTS.json, one entry for each run."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["record"]

_RESULTS = Path(__file__).parent / "RESULTS.json"


def record(result: dict[str, object]) -> None:
    """Add a run: its command, commit and counts."""
    results = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else []
    _RESULTS.write_text(json.dumps([*results, result], indent=2) + "\n")
