"""What a run is worth in units: known before it, the same for everyone; docs/receipts.md."""

from __future__ import annotations

from typing import Final

__all__ = ["BASE_UNITS", "MACS_PER_UNIT", "METER_VERSION", "MOVED_BYTES_PER_UNIT", "units_of_run"]

METER_VERSION: Final = 1
# Those of contracts' calls at the prices of the preset "hyperion" (docs/inference.md), without call data and output.
BASE_UNITS: Final = 12_000
MACS_PER_UNIT: Final = 500
MOVED_BYTES_PER_UNIT: Final = 40


def units_of_run(macs: int, moved_bytes: int) -> int:
    """Units of one run of a graph, from what validation proves of its cost."""
    return BASE_UNITS + -(-macs // MACS_PER_UNIT) + -(-moved_bytes // MOVED_BYTES_PER_UNIT)
